-- name: counts
-- A person asks for this, at most a few times a minute: the gateway keeps an answer for five seconds.
SELECT (SELECT count(*) FROM outbox_events WHERE status = 'pending') AS pending,
       (SELECT count(*) FROM outbox_events WHERE status = 'processing') AS processing,
       (SELECT count(*) FROM outbox_events WHERE status = 'failed') AS failed,
       (SELECT count(*) FROM outbox_events WHERE status = 'delivered') AS delivered,
       (SELECT count(*) FROM outbox_events WHERE status = 'consumed') AS consumed,
       (SELECT count(*) FROM outbox_events WHERE status = 'dead_letter') AS dead_letter,
       (SELECT coalesce(sum(attempts), 0) FROM outbox_events WHERE attempts > 0) AS attempts_total,
       (SELECT count(*) FROM outbox_events WHERE attempts > 1) AS retry_rows,
       (SELECT coalesce(extract(epoch FROM now() - min(created_at)) * 1000, 0)::bigint FROM outbox_events
        WHERE status IN ('pending', 'processing', 'failed')) AS oldest_backlog_age_ms;

-- name: stats
SELECT status, count(*) AS events, min(created_at) AS oldest,
       extract(epoch FROM now() - min(created_at))::float8 AS oldest_seconds
FROM outbox_events GROUP BY status ORDER BY status;

-- name: workers
SELECT w.worker, w.consumed_per_second, count(s.shard)::integer AS shards
FROM delivery_workers w LEFT JOIN delivery_shards s ON s.owner = w.worker AND s.lease_expires_at > now()
WHERE w.expires_at > now() GROUP BY w.worker, w.consumed_per_second ORDER BY w.worker;

-- name: list
SELECT event_id, session_id, status, attempts, max_attempts, last_error, next_retry_at, created_at,
       extract(epoch FROM now() - created_at)::float8 AS age_seconds
FROM outbox_events
WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR session_id = $2)
  AND ($3::interval IS NULL OR created_at < now() - $3)
ORDER BY id LIMIT $4;

-- name: show
SELECT o.id, o.event_id, o.session_id, t.seq, t.kind, o.channel, o.status, o.attempts, o.max_attempts, o.last_error,
       o.created_at, o.next_retry_at, o.locked_by, o.locked_at, o.lease_expires_at, o.delivered_at, o.consumed_at,
       o.consumed_by, o.replay_token, o.updated_at, o.payload
FROM outbox_events o LEFT JOIN timeline_events t ON t.event_id = o.event_id WHERE o.event_id = $1;

-- name: replays_of
SELECT replay_token, previous_status, previous_attempts, note, created_at
FROM outbox_replay_log WHERE event_id = $1 ORDER BY id;

-- name: replay_select
-- Those that this token moved before don't take a place of the limit. Locked in id order, as everyone does.
SELECT id, event_id FROM outbox_events
WHERE status = 'dead_letter' AND id = ANY (ARRAY(
    SELECT o.id FROM outbox_events o
    WHERE o.status = 'dead_letter' AND ($1::text IS NULL OR o.event_id = $1)
      AND ($2::text IS NULL OR o.session_id = $2)
    ORDER BY EXISTS (SELECT FROM outbox_replay_log l WHERE l.replay_token = $4 AND l.event_id = o.event_id), o.id
    LIMIT $3))
ORDER BY id FOR UPDATE;

-- name: replay_log
INSERT INTO outbox_replay_log (replay_token, event_id, session_id, previous_status, previous_attempts, note)
SELECT $2, event_id, session_id, status, attempts, $3 FROM outbox_events WHERE id = ANY ($1::bigint[]) ORDER BY id
ON CONFLICT (replay_token, event_id) DO NOTHING RETURNING event_id;

-- name: replay_update
UPDATE outbox_events SET status = 'failed', next_retry_at = now(), locked_by = NULL, locked_at = NULL,
    lease_expires_at = NULL, updated_at = now(), attempts = CASE WHEN $2 THEN 0 ELSE attempts END, replay_token = $3
WHERE event_id = ANY ($1::text[]) AND status = 'dead_letter';

-- name: inject
-- A row such as an operator or a drill writes; without a payload of its own it says only what it is.
INSERT INTO outbox_events (event_id, session_id, payload, status, attempts, last_error)
VALUES ($1, $2, $3::jsonb, $4, $5, CASE WHEN $4 IN ('failed', 'dead_letter') THEN 'injected' END);

-- name: status_of
SELECT status FROM outbox_events WHERE event_id = $1;
