-- What proves that a service can write. Run together, as one transaction that changes no row; each finds another fault.

-- name: small_memory
SET LOCAL work_mem = '64kB';

-- name: durable
SET LOCAL synchronous_commit = 'on';

-- name: room
-- A series that doesn't fit into that memory makes a file: the disk has room for one.
SELECT count(*) FROM generate_series(1, 10000);

-- name: sessions
UPDATE sessions SET seq = seq WHERE false;

-- name: outbox_events
UPDATE outbox_events SET status = status WHERE false;

-- name: wechat_people
UPDATE wechat_people SET openid = openid WHERE false;

-- name: plans
UPDATE plans SET version = version WHERE false;

-- name: reminders
UPDATE reminders SET matter = matter WHERE false;

-- name: logged
-- Gives the transaction something to commit: a message in the log that nobody reads.
SELECT pg_logical_emit_message(true, 'uniassist', 'health');
