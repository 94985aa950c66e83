-- name: lock_person
SELECT timezone FROM reminder_people WHERE user_id = :user_id AND subject = :subject FOR UPDATE;

-- name: note_person
-- Theirs until the transaction's end: what they ask at the same time is answered one after the other.
INSERT INTO reminder_people AS p (user_id, subject, session_id, timezone)
VALUES (:user_id, :subject, :session_id, :timezone)
ON CONFLICT (user_id, subject) DO UPDATE SET session_id = EXCLUDED.session_id,
    timezone = coalesce(EXCLUDED.timezone, p.timezone), updated_at = now()
RETURNING timezone;

-- name: answer
SELECT answer FROM reminder_answers WHERE run_id = :run_id AND user_id = :user_id AND subject = :subject;

-- name: keep_answer
INSERT INTO reminder_answers (run_id, user_id, subject, answer) VALUES (:run_id, :user_id, :subject, :answer::jsonb)
ON CONFLICT (user_id, subject, run_id) DO NOTHING;

-- name: of_person
-- What waits, soonest first, and what was said lately, which may be snoozed.
SELECT reminder_id, matter, language, rule, anchor, due_at, occurrence, said_at
FROM reminders
WHERE user_id = :user_id AND subject = :subject
  AND (state = 'waiting' OR (state = 'over' AND said_at > now() - interval '1 day'))
ORDER BY due_at, said_at DESC, reminder_id LIMIT :limit;

-- name: put
-- New ones, and those that the person changed: whoever has one under a lease then finds it changed, and leaves it.
INSERT INTO reminders AS r (reminder_id, user_id, subject, run_id, matter, language, rule, anchor, due_at, state)
SELECT reminder_id, :user_id, :subject, :run_id, matter, language, rule, anchor, due_at,
       CASE WHEN due_at IS NULL THEN 'cancelled' ELSE 'waiting' END
FROM unnest(:reminder_ids::text[], :matters::text[], :languages::text[], :rules::text[], :anchors::timestamp[],
            :due_ats::timestamptz[]) AS given (reminder_id, matter, language, rule, anchor, due_at)
ON CONFLICT (reminder_id) DO UPDATE SET matter = EXCLUDED.matter, rule = EXCLUDED.rule, anchor = EXCLUDED.anchor,
    due_at = EXCLUDED.due_at, state = EXCLUDED.state, occurrence = r.occurrence + 1, attempts = 0, last_error = NULL,
    lease_owner = NULL, lease_expires_at = NULL, updated_at = now()
WHERE r.user_id = EXCLUDED.user_id AND r.subject = EXCLUDED.subject;

-- name: claim
-- A lease that ends later than one given now is from before the clock was set back, and counts as over.
UPDATE reminders r SET lease_owner = :owner, lease_expires_at = now() + :lease::interval, attempts = attempts + 1
FROM reminder_people p
WHERE reminder_id IN (
    SELECT reminder_id FROM reminders
    WHERE due_at <= now()
      AND (lease_expires_at IS NULL OR lease_expires_at <= now() OR lease_expires_at > now() + :longest::interval)
    ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
  AND p.user_id = r.user_id AND p.subject = r.subject
RETURNING r.reminder_id, r.user_id, r.subject, r.run_id, r.matter, r.language, r.rule, r.anchor, r.due_at,
          r.occurrence, r.attempts, p.session_id, p.timezone, now() AS claimed_at;

-- name: settle
-- What was said. Nothing of one that the person changed meanwhile, or that went to another process.
UPDATE reminders r SET said_at = now(), anchor = given.anchor, due_at = given.due_at, occurrence = r.occurrence + 1,
    state = CASE WHEN given.due_at IS NULL THEN 'over' ELSE 'waiting' END, attempts = 0, last_error = NULL,
    lease_owner = NULL, lease_expires_at = NULL, updated_at = now()
FROM unnest(:reminder_ids::text[], :occurrences::integer[], :anchors::timestamp[], :due_ats::timestamptz[])
    AS given (reminder_id, occurrence, anchor, due_at)
WHERE r.reminder_id = given.reminder_id AND r.occurrence = given.occurrence AND r.lease_owner = :owner;

-- name: put_off
UPDATE reminders r SET lease_owner = NULL, lease_expires_at = now() + make_interval(secs => given.seconds),
    last_error = :error
FROM unnest(:reminder_ids::text[], :occurrences::integer[], :pauses::float8[]) AS given (reminder_id, occurrence, seconds)
WHERE r.reminder_id = given.reminder_id AND r.occurrence = given.occurrence AND r.lease_owner = :owner;

-- name: refuse
-- The gateway takes it never: its sessions are gone, say.
UPDATE reminders r SET state = 'refused', due_at = NULL, last_error = given.error, lease_owner = NULL,
    lease_expires_at = NULL, updated_at = now()
FROM unnest(:reminder_ids::text[], :occurrences::integer[], :errors::text[]) AS given (reminder_id, occurrence, error)
WHERE r.reminder_id = given.reminder_id AND r.occurrence = given.occurrence AND r.lease_owner = :owner;

-- name: overdue
-- How many are due, and for how many seconds the first of them is.
SELECT count(*) AS due, coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 AS seconds
FROM reminders WHERE due_at <= now();

-- name: erase
WITH gone AS (
    DELETE FROM reminders WHERE user_id = :user_id AND created_at <= :until
), answered AS (
    DELETE FROM reminder_answers WHERE user_id = :user_id AND created_at <= :until
)
DELETE FROM reminder_people p WHERE user_id = :user_id AND created_at <= :until
  AND NOT EXISTS (SELECT FROM reminders r WHERE r.user_id = p.user_id AND r.subject = p.subject AND r.created_at > :until);

-- name: forget_reminders
WITH gone AS (
    DELETE FROM reminders WHERE reminder_id IN (
        SELECT reminder_id FROM reminders WHERE due_at IS NULL AND updated_at < now() - make_interval(days => :days)
        ORDER BY updated_at LIMIT :limit)
    RETURNING 1
)
SELECT count(*) FROM gone;

-- name: forget_answers
WITH gone AS (
    DELETE FROM reminder_answers WHERE (user_id, subject, run_id) IN (
        SELECT user_id, subject, run_id FROM reminder_answers WHERE created_at < now() - :kept_for::interval
        ORDER BY created_at LIMIT :limit)
    RETURNING 1
)
SELECT count(*) FROM gone;

-- name: forget_people
WITH gone AS (
    DELETE FROM reminder_people p WHERE (user_id, subject) IN (
        SELECT user_id, subject FROM reminder_people o
        WHERE updated_at < now() - make_interval(days => :days)
          AND NOT EXISTS (SELECT FROM reminders r WHERE r.user_id = o.user_id AND r.subject = o.subject)
        ORDER BY updated_at LIMIT :limit)
      AND NOT EXISTS (SELECT FROM reminders r WHERE r.user_id = p.user_id AND r.subject = p.subject)
    RETURNING 1
)
SELECT count(*) FROM gone;
