-- What the release tooling asks of a database, and what a drill writes and takes away again.

-- name: server
SELECT current_setting('server_version_num')::integer AS version, current_setting('server_version') AS shown,
       pg_is_in_recovery() AS is_standby, current_database() AS database, current_user AS role,
       current_setting('server_encoding') AS encoding;

-- name: write_table
CREATE TABLE uniassist_preflight (written integer);

-- name: write_row
INSERT INTO uniassist_preflight SELECT generate_series(1, 3);

-- name: has_schema
SELECT to_regclass('alembic_version')::text;

-- name: schema_revision
SELECT version_num FROM alembic_version;

-- name: session_states
SELECT o.status, count(*) AS events FROM outbox_events o WHERE o.session_id = :session_id GROUP BY o.status;

-- name: lock_drill
-- Held by the connection; 'drill' in ASCII.
SELECT pg_try_advisory_lock(431416241260);

-- name: lock_releases
-- Held by the connection; 'release' in ASCII. Who holds it stands in the connection's own name, of 63 bytes.
SELECT pg_try_advisory_lock(32199663576773477) AS taken, set_config('application_name', :holder, false);

-- name: holder_of_releases
SELECT a.application_name AS holder, to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32) | l.objid::bigint = 32199663576773477;

-- name: live_workers
SELECT worker FROM delivery_workers WHERE expires_at > now() ORDER BY worker;

-- name: last_id
SELECT coalesce(max(id), 0) FROM outbox_events;

-- name: unconfirmed
-- On the streams, not seen by the consumer group yet, up to an id.
SELECT count(*) FROM outbox_events WHERE status = 'delivered' AND id <= :up_to_id;

-- name: states_of
SELECT status, count(*) AS events FROM outbox_events WHERE event_id = ANY (:event_ids::text[]) GROUP BY status;

-- name: dead_again
UPDATE outbox_events SET status = 'dead_letter', attempts = max_attempts, updated_at = now()
WHERE event_id = :event_id AND status = 'consumed';

-- name: events_like
-- Reads the whole table: once in a drill.
SELECT event_id FROM outbox_events WHERE starts_with(event_id, :prefix);

-- name: remove_events
-- None that a worker has in its hands, unless that worker is gone: it would publish what isn't there any more. A lease
-- longer than it can be is from before the clock was set back.
DELETE FROM outbox_events WHERE event_id = ANY (:event_ids::text[])
  AND (status <> 'processing' OR lease_expires_at IS NULL
       OR lease_expires_at NOT BETWEEN now() AND now() + :row_lease::interval);

-- name: count_events
SELECT count(*) FROM outbox_events WHERE event_id = ANY (:event_ids::text[]);

-- name: remove_replays
DELETE FROM outbox_replay_log WHERE starts_with(event_id, :prefix);

-- name: troubles
-- A watch asks every 15 seconds. :besides: prefixes of ids that don't count.
SELECT count(*) FILTER (WHERE status = 'dead_letter') AS dead_letters, coalesce(sum(attempts), 0)::bigint AS attempts
FROM outbox_events o WHERE (attempts > 0 OR status = 'dead_letter')
  AND NOT EXISTS (SELECT FROM unnest(:besides::text[]) AS prefix WHERE starts_with(o.event_id, prefix));

-- name: troubles_in_hour_before
-- Once in a watch.
SELECT count(*) FILTER (WHERE status = 'dead_letter') AS dead_letters, coalesce(sum(attempts), 0)::bigint AS attempts
FROM outbox_events o WHERE (attempts > 0 OR status = 'dead_letter')
  AND created_at >= :moment::timestamptz - interval '1 hour' AND created_at < :moment
  AND NOT EXISTS (SELECT FROM unnest(:besides::text[]) AS prefix WHERE starts_with(o.event_id, prefix));
