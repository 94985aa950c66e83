-- What provider-plan keeps: people's plans, what it answered, forms that are open, links to calendars.

-- name: lock
-- One call of a person at a time, until the transaction's end; their erasure waits for it, too.
SELECT pg_advisory_xact_lock(hashtextextended('plans:' || :user_id::text, 0));

-- name: answer
SELECT answer FROM plan_answers WHERE user_id = :user_id AND subject = :subject AND call_key = :call_key;

-- name: note_answer
INSERT INTO plan_answers (user_id, subject, call_key, answer) VALUES (:user_id, :subject, :call_key, :answer);

-- name: of_person
-- In the order in which they were made. Deleted ones as well: they may be had back. Locked against who tells of steps.
SELECT plan_id, body, version, timezone, told_through, created_at, changed_at, used_at, deleted_at FROM plans
WHERE user_id = :user_id AND subject = :subject ORDER BY created_at, plan_id FOR UPDATE;

-- name: read
SELECT plan_id, body, version, timezone, told_through, created_at, changed_at, used_at, deleted_at FROM plans
WHERE user_id = :user_id AND subject = :subject AND deleted_at IS NULL AND (:plan_id::text IS NULL OR plan_id = :plan_id)
ORDER BY created_at, plan_id;

-- name: put
INSERT INTO plans (user_id, subject, plan_id, body, timezone, ends_on, told_through, due_at)
VALUES (:user_id, :subject, :plan_id, :body, :timezone, :ends_on, :told_through, :due_at)
ON CONFLICT (user_id, subject, plan_id) DO UPDATE SET
    body = EXCLUDED.body, version = plans.version + (plans.body <> EXCLUDED.body)::int, timezone = EXCLUDED.timezone,
    ends_on = EXCLUDED.ends_on, told_through = EXCLUDED.told_through, due_at = EXCLUDED.due_at, leased_until = NULL,
    changed_at = CASE WHEN plans.body = EXCLUDED.body THEN plans.changed_at ELSE now() END, used_at = now(),
    deleted_at = NULL;

-- name: use
UPDATE plans SET used_at = now() WHERE user_id = :user_id AND subject = :subject AND plan_id = :plan_id;

-- name: reschedule
UPDATE plans SET timezone = :timezone, due_at = :due_at, leased_until = NULL
WHERE user_id = :user_id AND subject = :subject AND plan_id = :plan_id;

-- name: delete
UPDATE plans SET deleted_at = now() WHERE user_id = :user_id AND subject = :subject AND plan_id = ANY(:plan_ids::text[]);

-- name: draft
SELECT known FROM plan_drafts WHERE user_id = :user_id AND subject = :subject AND task_id = :task_id;

-- name: put_draft
INSERT INTO plan_drafts (user_id, subject, task_id, known) VALUES (:user_id, :subject, :task_id, :known)
ON CONFLICT (user_id, subject, task_id) DO UPDATE SET known = EXCLUDED.known, created_at = now();

-- name: put_link
INSERT INTO plan_links (link_hash, user_id, subject, plan_id, language, expires_at)
VALUES (:link_hash, :user_id, :subject, :plan_id, :language, now() + :lasts::interval);

-- name: link
SELECT user_id, subject, plan_id, language FROM plan_links WHERE link_hash = :link_hash AND expires_at > now();

-- name: claim_due
-- Due again after :lease, should the process that took them not say what became of them.
UPDATE plans p SET leased_until = now() + :lease::interval
FROM (SELECT user_id, subject, plan_id FROM plans
      WHERE due_at <= now() AND deleted_at IS NULL AND (leased_until IS NULL OR leased_until <= now())
      ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED) AS due
WHERE (p.user_id, p.subject, p.plan_id) = (due.user_id, due.subject, due.plan_id)
RETURNING p.user_id, p.subject, p.plan_id, p.body, p.version, p.timezone, p.told_through, p.due_at;

-- name: told
-- Not where the plan was changed meanwhile: then it was decided anew what is due.
UPDATE plans SET told_through = :told_through, due_at = :next_due_at, leased_until = NULL
WHERE user_id = :user_id AND subject = :subject AND plan_id = :plan_id AND version = :version AND due_at = :due_at;

-- name: erase
WITH answer AS (
    DELETE FROM plan_answers WHERE user_id = :user_id AND created_at <= :until
), draft AS (
    DELETE FROM plan_drafts WHERE user_id = :user_id AND created_at <= :until
), link AS (
    DELETE FROM plan_links WHERE user_id = :user_id AND created_at <= :until
), gone AS (
    DELETE FROM plans WHERE user_id = :user_id AND created_at <= :until RETURNING 1
)
SELECT count(*) FROM gone;

-- name: forget_unused
WITH old AS (
    SELECT user_id, subject, plan_id FROM plans
    WHERE used_at < now() - make_interval(days => :days) AND ends_on < current_date - :days::int
    ORDER BY used_at LIMIT :limit FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM plans p USING old
    WHERE (p.user_id, p.subject, p.plan_id) = (old.user_id, old.subject, old.plan_id) RETURNING 1
)
SELECT count(*) FROM gone;

-- name: forget_passing
-- What is only kept for a while: deleted plans, answers, forms, links that are over.
WITH deleted AS (
    DELETE FROM plans WHERE (user_id, subject, plan_id) IN (
        SELECT user_id, subject, plan_id FROM plans WHERE deleted_at < now() - :kept::interval
        ORDER BY deleted_at LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING 1
), answers AS (
    DELETE FROM plan_answers WHERE (user_id, subject, call_key) IN (
        SELECT user_id, subject, call_key FROM plan_answers WHERE created_at < now() - :kept::interval
        ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING 1
), drafts AS (
    DELETE FROM plan_drafts WHERE (user_id, subject, task_id) IN (
        SELECT user_id, subject, task_id FROM plan_drafts WHERE created_at < now() - :drafts_kept::interval
        ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING 1
), links AS (
    DELETE FROM plan_links WHERE link_hash IN (
        SELECT link_hash FROM plan_links WHERE expires_at < now() ORDER BY expires_at LIMIT :limit
        FOR UPDATE SKIP LOCKED) RETURNING 1
)
SELECT greatest((SELECT count(*) FROM deleted), (SELECT count(*) FROM answers), (SELECT count(*) FROM drafts),
                (SELECT count(*) FROM links));
