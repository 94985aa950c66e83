-- The ledger: sessions locked in id order. What is written then is put together of parts/ledger_write.sql.

-- name: open_and_lock
-- :opened_…: sessions to open when they are missing; :locked_ids: sessions to lock. A row that a concurrent commit
-- opens after this statement's snapshot is missing from the answer: ask again.
WITH opened AS (
    INSERT INTO sessions (session_id, user_id, signed, last_activity_at, subject)
    SELECT * FROM unnest(:opened_ids::text[], :opened_user_ids::text[], :opened_signed::boolean[],
                         :opened_at::timestamptz[], :opened_subjects::text[])
    ORDER BY 1
    ON CONFLICT (session_id) DO NOTHING
    RETURNING session_id, user_id, seq, last_activity_at, signed, successor_id, state, subject
), locked AS (
    SELECT session_id, user_id, seq, last_activity_at, signed, successor_id, state, subject
    FROM sessions WHERE session_id = ANY (:locked_ids::text[]) ORDER BY session_id FOR UPDATE
)
SELECT *, true AS is_new FROM opened UNION ALL SELECT *, false FROM locked;

-- name: seen
-- One session, unlocked, with its row's version: null where there is none. :nonce, :scope and :key may be null.
SELECT s.session_id, s.user_id, s.seq, s.last_activity_at, s.signed, s.successor_id, s.state, s.subject,
       false AS is_new, s.xmin::text::bigint AS version, used.is_used
FROM (
    SELECT EXISTS (SELECT FROM signature_nonces WHERE nonce = :nonce)
        OR EXISTS (SELECT FROM idempotency_keys WHERE scope = :scope AND key = :key) AS is_used
) used LEFT JOIN sessions s ON s.session_id = :session_id;

-- name: newest_sessions
WITH RECURSIVE line AS (
    SELECT session_id AS origin, session_id, successor_id FROM sessions WHERE session_id = ANY (:session_ids::text[])
    UNION ALL
    SELECT line.origin, s.session_id, s.successor_id FROM line JOIN sessions s ON s.session_id = line.successor_id
)
SELECT origin, session_id FROM line WHERE successor_id IS NULL;

-- name: locked_sessions
WITH free AS (
    SELECT session_id FROM sessions WHERE session_id = ANY (:session_ids::text[]) FOR UPDATE SKIP LOCKED
)
SELECT session_id FROM sessions
WHERE session_id = ANY (:session_ids::text[]) AND session_id NOT IN (SELECT session_id FROM free);

-- name: forget_sessions
DELETE FROM sessions WHERE session_id = ANY (:session_ids::text[]) AND seq = 0;

-- name: known_nonces
SELECT nonce FROM signature_nonces WHERE nonce = ANY (:nonces::text[]);

-- name: known_keys
SELECT k.scope, k.key, k.body_hash, k.answer
FROM idempotency_keys k
JOIN unnest(:scopes::text[], :keys::text[]) AS wanted (scope, key) ON wanted.scope = k.scope AND wanted.key = k.key;

-- name: held_calls
SELECT call_id FROM provider_calls
WHERE call_id = ANY (:call_ids::text[]) AND lease_owner = :owner ORDER BY call_id FOR UPDATE;

-- name: known_runs
SELECT run_id, session_id, user_id, provider_id, mode, routing_mode, idempotency_key, status
FROM provider_runs WHERE run_id = ANY (:run_ids::text[]);

-- name: calls_of_runs
SELECT call_id, run_id FROM provider_calls WHERE run_id = ANY (:run_ids::text[]) ORDER BY call_id FOR UPDATE;
