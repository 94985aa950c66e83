-- What the console looks at. A person asks, a few times a minute; each look is bounded, whatever the tables hold.

-- name: recent_sessions
-- Those of the newest 5,000 events. Where there are few sessions at all, the others too: nothing sorts them by activity,
-- for an index that every turn would have to write isn't worth a page. Each is fetched by its key: the planner doesn't
-- know that the others are none in a large table, and would read and sort all of it.
WITH newest AS MATERIALIZED (
    SELECT session_id FROM (SELECT session_id FROM outbox_events ORDER BY id DESC LIMIT 5000) o GROUP BY session_id
), chosen AS (
    SELECT session_id FROM newest
    UNION
    (SELECT session_id FROM sessions
     WHERE (SELECT reltuples FROM pg_class WHERE oid = 'sessions'::regclass) < 20000 LIMIT 20000)
)
SELECT s.session_id, s.user_id, s.seq, s.last_activity_at, s.created_at, s.signed, s.subject, s.successor_id,
       s.state - 'last_text' - 'heard' AS memory, said.preview
FROM chosen c
CROSS JOIN LATERAL (SELECT * FROM sessions WHERE session_id = c.session_id OFFSET 0) s
LEFT JOIN LATERAL (
    SELECT left(coalesce(payload #>> '{input,text}', payload #>> '{event,text}'), 120) AS preview
    FROM timeline_events t
    WHERE t.session_id = s.session_id AND t.seq > s.seq - 12 AND t.kind = 'inbound'
    ORDER BY t.seq DESC LIMIT 1
) said ON true
ORDER BY s.last_activity_at DESC LIMIT :limit;

-- name: sessions_of
-- Of one user, or the one with this id.
SELECT s.session_id, s.user_id, s.seq, s.last_activity_at, s.created_at, s.signed, s.subject, s.successor_id,
       s.state - 'last_text' - 'heard' AS memory, said.preview
FROM sessions s
LEFT JOIN LATERAL (
    SELECT left(payload #>> '{input,text}', 120) AS preview
    FROM timeline_events t
    WHERE t.session_id = s.session_id AND t.seq > s.seq - 12 AND t.kind = 'inbound'
    ORDER BY t.seq DESC LIMIT 1
) said ON true
WHERE s.session_id = :of OR s.user_id = :of
ORDER BY s.created_at DESC LIMIT :limit;

-- name: event
SELECT event_id, session_id, trace_id, run_id FROM timeline_events WHERE event_id = :event_id;

-- name: event_of_run
SELECT t.event_id, t.session_id, r.trace_id, r.run_id
FROM provider_runs r JOIN timeline_events t ON t.session_id = r.session_id AND t.run_id = r.run_id
WHERE r.run_id = :run_id ORDER BY t.seq LIMIT 1;

-- name: event_of_trace
-- No index knows traces: it is looked for among the newest events.
SELECT t.event_id, t.session_id, t.trace_id, t.run_id
FROM (SELECT event_id FROM outbox_events ORDER BY id DESC LIMIT :newest) o JOIN timeline_events t USING (event_id)
WHERE t.trace_id = :trace_id ORDER BY t.seq LIMIT 1;

-- name: life
-- The events of one trace in its session, each with its row of the outbox, if that is still kept.
SELECT t.event_id, t.seq, t.kind, t.provider_id, t.run_id, t.extension_kind, t.timestamp_ms, t.user_id,
       t.created_at AS committed_at, left(t.payload::text, :longest) AS payload,
       octet_length(t.payload::text) > :longest AS cut,
       o.id AS outbox_id, o.status, o.attempts, o.max_attempts, o.last_error, o.created_at, o.locked_by, o.locked_at,
       o.next_retry_at, o.delivered_at, o.consumed_at, o.consumed_by, o.epoch, o.traceparent
FROM timeline_events t LEFT JOIN outbox_events o USING (event_id)
WHERE t.session_id = :session_id AND t.trace_id = :trace_id
ORDER BY t.seq LIMIT :limit;

-- name: life_runs
SELECT run_id, trace_id, provider_id, mode, routing_mode, status, score, created_at, updated_at, deadline_at
FROM provider_runs
WHERE session_id = :session_id AND (trace_id = :trace_id OR run_id = ANY (:run_ids::text[]))
ORDER BY created_at LIMIT 100;

-- name: life_calls
-- Calls that an answer is still owed to; the others are gone with their answer.
SELECT call_id, run_id, provider_id, kind, attempt, lease_owner, lease_expires_at, created_at,
       left(request::text, :longest) AS request
FROM provider_calls WHERE run_id = ANY (:run_ids::text[]) ORDER BY created_at LIMIT 100;

-- name: life_replays
SELECT event_id, replay_token, previous_status, previous_attempts, note, created_at
FROM outbox_replay_log WHERE event_id = ANY (:event_ids::text[]) ORDER BY id LIMIT 100;

-- name: life_others
-- Traces of the same session that went on with these runs: an answer to a form, say.
SELECT t.trace_id, min(t.seq) AS seq FROM timeline_events t
WHERE t.session_id = :session_id AND t.run_id = ANY (:run_ids::text[]) AND t.trace_id <> :trace_id
GROUP BY t.trace_id ORDER BY 2 LIMIT 20;

-- name: life_contexts
-- What each run began with, as its provider got it.
SELECT DISTINCT ON (run_id) run_id, payload ->> 'context' AS context FROM timeline_events
WHERE session_id = :session_id AND run_id = ANY (:run_ids::text[]) AND kind = 'provider_run' ORDER BY run_id, seq;

-- name: outbox
-- Newest first. A text is looked for in the newest 20,000 rows of those that fit otherwise.
SELECT o.id, o.event_id, o.session_id, o.status, o.attempts, o.max_attempts, o.last_error, o.next_retry_at,
       o.created_at, o.delivered_at, o.consumed_at, t.kind, t.seq, t.trace_id
FROM (SELECT * FROM outbox_events
      WHERE (:status::text IS NULL OR status = :status) AND (:session_id::text IS NULL OR session_id = :session_id)
        AND (:before::bigint IS NULL OR id < :before)
        AND (:older_than::interval IS NULL OR created_at < now() - :older_than)
      ORDER BY id DESC LIMIT 20000) o
LEFT JOIN timeline_events t USING (event_id)
WHERE :error::text IS NULL OR position(lower(:error) IN lower(o.last_error)) > 0
ORDER BY o.id DESC LIMIT :limit;

-- name: dead_letters
-- The oldest first, as they are replayed.
SELECT event_id FROM (
    SELECT id, event_id, last_error FROM outbox_events
    WHERE status = 'dead_letter' AND (:session_id::text IS NULL OR session_id = :session_id)
      AND (:event_id::text IS NULL OR event_id = :event_id)
      AND (:older_than::interval IS NULL OR created_at < now() - :older_than)
    ORDER BY id LIMIT 20000) o
WHERE :error::text IS NULL OR position(lower(:error) IN lower(last_error)) > 0
ORDER BY id LIMIT :limit;

-- name: delivery_times
-- Of the newest 500 rows: from the commit to the stream, and to the consumer, in seconds.
SELECT count(*) FILTER (WHERE consumed_at IS NOT NULL) AS consumed,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM consumed_at - created_at)::float8) AS p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM consumed_at - created_at)::float8) AS p95
FROM (SELECT created_at, consumed_at FROM outbox_events WHERE isfinite(created_at) ORDER BY id DESC LIMIT 500) o;

-- name: shards
SELECT shard, CASE WHEN lease_expires_at > now() THEN owner END AS owner FROM delivery_shards ORDER BY shard;

-- name: database
SELECT current_database() AS name, current_setting('server_version') AS version, pg_is_in_recovery() AS standby,
       pg_database_size(current_database()) AS bytes, numbackends AS connections, deadlocks,
       xact_commit AS commits, xact_rollback AS rollbacks, current_setting('max_connections')::integer AS most,
       CASE WHEN blks_hit + blks_read > 0 THEN blks_hit::float8 / (blks_hit + blks_read) END AS cache_hits
FROM pg_stat_database WHERE datname = current_database();

-- name: note_act
INSERT INTO operator_acts (who, via, act, target, note, outcome)
VALUES (:who, :via, :act, :target::jsonb, :note, :outcome::jsonb) RETURNING id, at;

-- name: acts
SELECT id, at, who, via, act, target, note, outcome FROM operator_acts
WHERE :before::bigint IS NULL OR id < :before ORDER BY id DESC LIMIT :limit;
