-- name: counts
-- A person asks for this, at most a few times a minute: the gateway keeps an answer for five seconds. One pass over the
-- table, for what was attempted is in no index; a pass for each figure would be four.
SELECT count(*) FILTER (WHERE status = 'pending') AS pending,
       count(*) FILTER (WHERE status = 'processing') AS processing,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE status = 'delivered') AS delivered,
       count(*) FILTER (WHERE status = 'consumed') AS consumed,
       count(*) FILTER (WHERE status = 'dead_letter') AS dead_letter,
       coalesce(sum(attempts) FILTER (WHERE attempts > 0), 0) AS attempts_total,
       count(*) FILTER (WHERE attempts > 1) AS retry_rows,
       coalesce(extract(epoch FROM now() - min(created_at) FILTER (
           WHERE status IN ('pending', 'processing', 'failed') AND isfinite(created_at))) * 1000, 0)::bigint
           AS oldest_backlog_age_ms
FROM outbox_events;

-- name: stats
-- `oldest` null and its age 0 where no row of a state says when it was written.
SELECT status, count(*) AS events, min(created_at) FILTER (WHERE told) AS oldest,
       coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE told)), 0)::float8 AS oldest_seconds
FROM outbox_events
CROSS JOIN LATERAL (SELECT created_at BETWEEN '0001-01-01 00:00Z' AND '9999-12-31 00:00Z' AS told) AS time
GROUP BY status ORDER BY status;

-- name: workers
SELECT w.worker, w.consumed_per_second, count(s.shard)::integer AS shards
FROM delivery_workers w LEFT JOIN delivery_shards s ON s.owner = w.worker AND s.lease_expires_at > now()
WHERE w.expires_at > now() GROUP BY w.worker, w.consumed_per_second ORDER BY w.worker;

-- name: list
SELECT event_id, session_id, status, attempts, max_attempts, last_error, shown.next_retry_at, shown.created_at,
       extract(epoch FROM now() - shown.created_at)::float8 AS age_seconds
FROM outbox_events o
CROSS JOIN LATERAL (  -- times beyond the reader's calendar, infinity among them, are shown as its ends
    SELECT greatest('0001-01-01 00:00Z', least('9999-12-31 00:00Z', o.next_retry_at)) AS next_retry_at,
           greatest('0001-01-01 00:00Z', least('9999-12-31 00:00Z', o.created_at)) AS created_at
) AS shown
WHERE (:status::text IS NULL OR status = :status) AND (:session_id::text IS NULL OR session_id = :session_id)
  AND (:older_than::interval IS NULL OR o.created_at < now() - :older_than)
ORDER BY id LIMIT :limit;

-- name: show
-- The columns are what `outbox show --json` prints, under these names. Times as in `list`; null stays null.
SELECT o.id, o.event_id, o.session_id, t.seq, t.kind, o.channel, o.status, o.attempts, o.max_attempts, o.last_error,
       shown.created_at, shown.next_retry_at, o.locked_by, shown.locked_at, shown.lease_expires_at,
       shown.delivered_at, shown.consumed_at, o.consumed_by, o.replay_token, shown.updated_at, o.payload
FROM outbox_events o LEFT JOIN timeline_events t ON t.event_id = o.event_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN o.created_at IS NOT NULL THEN greatest('0001-01-01 00:00Z', least('9999-12-31 00:00Z', o.created_at)) END AS created_at,
           CASE WHEN o.next_retry_at IS NOT NULL THEN greatest('0001-01-01 00:00Z', least('9999-12-31 00:00Z', o.next_retry_at)) END AS next_retry_at,
           CASE WHEN o.locked_at IS NOT NULL THEN greatest('0001-01-01 00:00Z', least('9999-12-31 00:00Z', o.locked_at)) END AS locked_at,
           CASE WHEN o.lease_expires_at IS NOT NULL THEN greatest('0001-01-01 00:00Z', least('9999-12-31 00:00Z', o.lease_expires_at)) END AS lease_expires_at,
           CASE WHEN o.delivered_at IS NOT NULL THEN greatest('0001-01-01 00:00Z', least('9999-12-31 00:00Z', o.delivered_at)) END AS delivered_at,
           CASE WHEN o.consumed_at IS NOT NULL THEN greatest('0001-01-01 00:00Z', least('9999-12-31 00:00Z', o.consumed_at)) END AS consumed_at,
           CASE WHEN o.updated_at IS NOT NULL THEN greatest('0001-01-01 00:00Z', least('9999-12-31 00:00Z', o.updated_at)) END AS updated_at
) AS shown
WHERE o.event_id = :event_id;

-- name: replays_of
SELECT replay_token, previous_status, previous_attempts, note, created_at
FROM outbox_replay_log WHERE event_id = :event_id ORDER BY id;

-- name: replay_select
-- Those that this token moved before don't take a place of the limit. Locked in id order, as everyone does.
SELECT id, event_id FROM outbox_events
WHERE status = 'dead_letter' AND id = ANY (ARRAY(
    SELECT o.id FROM outbox_events o
    WHERE o.status = 'dead_letter' AND (:event_id::text IS NULL OR o.event_id = :event_id)
      AND (:session_id::text IS NULL OR o.session_id = :session_id)
      AND (:among::text[] IS NULL OR o.event_id = ANY (:among))
    ORDER BY EXISTS (SELECT FROM outbox_replay_log l WHERE l.replay_token = :token AND l.event_id = o.event_id), o.id
    LIMIT :limit))
ORDER BY id FOR UPDATE;

-- name: replay_log
INSERT INTO outbox_replay_log (replay_token, event_id, session_id, previous_status, previous_attempts, note)
SELECT :token, event_id, session_id, status, attempts, :note FROM outbox_events
WHERE id = ANY (:ids::bigint[]) ORDER BY id
ON CONFLICT (replay_token, event_id) DO NOTHING RETURNING event_id;

-- name: replay_update
UPDATE outbox_events SET status = 'failed', next_retry_at = now(), locked_by = NULL, locked_at = NULL,
    lease_expires_at = NULL, updated_at = now(), replay_token = :token,
    attempts = CASE WHEN :reset_attempts THEN 0 ELSE attempts END
WHERE event_id = ANY (:event_ids::text[]) AND status = 'dead_letter';

-- name: inject
-- A row such as an operator or a drill writes; without a payload of its own it says only what it is.
INSERT INTO outbox_events (event_id, session_id, payload, status, attempts, last_error)
VALUES (:event_id, :session_id, :payload::jsonb, :status, :attempts,
        CASE WHEN :status IN ('failed', 'dead_letter') THEN 'injected' END);

-- name: status_of
SELECT status FROM outbox_events WHERE event_id = :event_id;
