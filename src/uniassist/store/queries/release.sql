-- What the release tooling asks of a database, and what a drill writes and takes away again.

-- name: server
SELECT current_setting('server_version_num')::integer AS version, current_setting('server_version') AS shown,
       pg_is_in_recovery() AS is_standby, current_database() AS database, current_user AS role;

-- name: write_table
CREATE TABLE uniassist_preflight (written integer);

-- name: write_row
INSERT INTO uniassist_preflight SELECT generate_series(1, 3);

-- name: has_schema
SELECT to_regclass('alembic_version')::text;

-- name: schema_revision
SELECT version_num FROM alembic_version;

-- name: session_states
SELECT o.status, count(*) AS events FROM outbox_events o WHERE o.session_id = $1 GROUP BY o.status;

-- name: lock_drill
-- Held by the connection; 'drill' in ASCII.
SELECT pg_try_advisory_lock(431416241260);

-- name: live_workers
SELECT worker FROM delivery_workers WHERE expires_at > now() ORDER BY worker;

-- name: last_id
SELECT coalesce(max(id), 0) FROM outbox_events;

-- name: unconfirmed
-- On the streams, not seen by the consumer group yet; $1: up to this id.
SELECT count(*) FROM outbox_events WHERE status = 'delivered' AND id <= $1;

-- name: states_of
SELECT status, count(*) AS events FROM outbox_events WHERE event_id = ANY ($1::text[]) GROUP BY status;

-- name: dead_again
UPDATE outbox_events SET status = 'dead_letter', attempts = max_attempts, updated_at = now()
WHERE event_id = $1 AND status = 'consumed';

-- name: events_like
-- Reads the whole table: once in a drill.
SELECT event_id FROM outbox_events WHERE starts_with(event_id, $1);

-- name: remove_events
-- None that a worker has in its hands, unless that worker is gone: it would publish what isn't there any more.
DELETE FROM outbox_events WHERE event_id = ANY ($1::text[])
  AND (status <> 'processing' OR lease_expires_at IS NULL OR lease_expires_at < now());

-- name: count_events
SELECT count(*) FROM outbox_events WHERE event_id = ANY ($1::text[]);

-- name: remove_replays
DELETE FROM outbox_replay_log WHERE starts_with(event_id, $1);

-- name: troubles
-- A watch asks every 15 seconds; $1: prefixes of ids that don't count.
SELECT count(*) FILTER (WHERE status = 'dead_letter') AS dead_letters, coalesce(sum(attempts), 0)::bigint AS attempts
FROM outbox_events o WHERE (attempts > 0 OR status = 'dead_letter')
  AND NOT EXISTS (SELECT FROM unnest($1::text[]) AS prefix WHERE starts_with(o.event_id, prefix));

-- name: troubles_in_hour_before
-- Once in a watch; $2: the moment.
SELECT count(*) FILTER (WHERE status = 'dead_letter') AS dead_letters, coalesce(sum(attempts), 0)::bigint AS attempts
FROM outbox_events o WHERE (attempts > 0 OR status = 'dead_letter')
  AND created_at >= $2::timestamptz - interval '1 hour' AND created_at < $2
  AND NOT EXISTS (SELECT FROM unnest($1::text[]) AS prefix WHERE starts_with(o.event_id, prefix));
