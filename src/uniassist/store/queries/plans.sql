-- What provider-plan keeps: people's plans, what it answered, forms that are open, links to calendars.

-- name: lock
-- One call of a person at a time, until the transaction's end; their erasure waits for it, too.
SELECT pg_advisory_xact_lock(hashtextextended('plans:' || :user_id::text, 0));

-- name: try_lock
-- The same of many, without waiting: whose calls may be carried out now. A row that somebody else holds is waited for
-- no longer than :patience, for all of them wait.
SELECT user_id FROM unnest(:user_ids::text[]) AS asked (user_id), set_config('lock_timeout', :patience, true)
WHERE pg_try_advisory_xact_lock(hashtextextended('plans:' || user_id, 0));

-- name: look
-- What calls find: what they were answered before, what is known of their form, and their person's plans in the order
-- in which they were made. Deleted ones as well: they may be had back. Locked against who tells of steps.
WITH asked AS (
    SELECT * FROM unnest(:user_ids::text[], :subjects::text[], :call_keys::text[], :task_ids::text[])
        WITH ORDINALITY AS a (user_id, subject, call_key, task_id, number)
), mine AS (
    SELECT a.number, p.plan_id, p.body, p.version, p.timezone, p.told_through, p.created_at, p.changed_at, p.used_at,
           p.deleted_at
    FROM asked a JOIN plans p ON p.user_id = a.user_id AND p.subject = a.subject FOR UPDATE OF p
)
SELECT a.number, r.answer, d.known, m.plan_id, m.body, m.version, m.timezone, m.told_through, m.created_at,
       m.changed_at, m.used_at, m.deleted_at
FROM asked a
LEFT JOIN plan_answers r ON r.user_id = a.user_id AND r.subject = a.subject AND r.call_key = a.call_key
LEFT JOIN plan_drafts d ON d.user_id = a.user_id AND d.subject = a.subject AND d.task_id = a.task_id
LEFT JOIN mine m ON m.number = a.number
ORDER BY a.number, m.created_at, m.plan_id;

-- name: read
SELECT plan_id, body, version, timezone, told_through, created_at, changed_at, used_at, deleted_at FROM plans
WHERE user_id = :user_id AND subject = :subject AND deleted_at IS NULL AND (:plan_id::text IS NULL OR plan_id = :plan_id)
ORDER BY created_at, plan_id;

-- name: keep
-- Of many calls: new plans, changed ones and deleted ones that are back; open forms; what the calls were answered.
WITH put AS (
    INSERT INTO plans (user_id, subject, plan_id, body, timezone, ends_on, told_through, due_at)
    SELECT * FROM unnest(:plans_user_id::text[], :plans_subject::text[], :plans_plan_id::text[], :plans_body::text[],
                         :plans_timezone::text[], :plans_ends_on::date[], :plans_told_through::date[],
                         :plans_due_at::timestamptz[])
    ON CONFLICT (user_id, subject, plan_id) DO UPDATE SET
        body = EXCLUDED.body, version = plans.version + (plans.body <> EXCLUDED.body)::int,
        timezone = EXCLUDED.timezone, ends_on = EXCLUDED.ends_on, told_through = EXCLUDED.told_through,
        due_at = EXCLUDED.due_at, leased_until = NULL,
        changed_at = CASE WHEN plans.body = EXCLUDED.body THEN plans.changed_at ELSE now() END, used_at = now(),
        deleted_at = NULL
), drafted AS (
    INSERT INTO plan_drafts (user_id, subject, task_id, known)
    SELECT * FROM unnest(:drafts_user_id::text[], :drafts_subject::text[], :drafts_task_id::text[],
                         :drafts_known::text[])
    ON CONFLICT (user_id, subject, task_id) DO UPDATE SET known = EXCLUDED.known, created_at = now()
)
INSERT INTO plan_answers (user_id, subject, call_key, answer)
SELECT * FROM unnest(:answers_user_id::text[], :answers_subject::text[], :answers_call_key::text[],
                     :answers_answer::bytea[]);

-- name: use
UPDATE plans SET used_at = now() WHERE user_id = :user_id AND subject = :subject AND plan_id = :plan_id;

-- name: reschedule
UPDATE plans SET timezone = :timezone, due_at = :due_at, leased_until = NULL
WHERE user_id = :user_id AND subject = :subject AND plan_id = :plan_id;

-- name: delete
UPDATE plans SET deleted_at = now() WHERE user_id = :user_id AND subject = :subject AND plan_id = ANY(:plan_ids::text[]);

-- name: draft
SELECT known FROM plan_drafts WHERE user_id = :user_id AND subject = :subject AND task_id = :task_id;

-- name: put_link
INSERT INTO plan_links (link_hash, user_id, subject, plan_id, language, expires_at)
VALUES (:link_hash, :user_id, :subject, :plan_id, :language, now() + :lasts::interval);

-- name: link
SELECT user_id, subject, plan_id, language FROM plan_links WHERE link_hash = :link_hash AND expires_at > now();

-- name: claim_due
-- Due again after :lease, should the process that took them not say what became of them. A longer lease is from before
-- the database's clock was set back, and over.
UPDATE plans p SET leased_until = now() + :lease::interval
FROM (SELECT user_id, subject, plan_id FROM plans
      WHERE due_at <= now() AND deleted_at IS NULL 
        AND (leased_until IS NULL OR leased_until <= now() OR leased_until > now() + :lease)
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
