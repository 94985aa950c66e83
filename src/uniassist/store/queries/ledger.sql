-- The ledger: sessions locked in id order, then everything of a batch in one statement.

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

-- name: write
-- :events_kind is the column `kind` of the batch's events, and so for each table that it writes to.
WITH touched AS (
    INSERT INTO sessions (session_id, user_id, seq, last_activity_at, signed, successor_id, state, subject)
    SELECT * FROM unnest(:sessions_session_id::text[], :sessions_user_id::text[], :sessions_seq::bigint[],
                         :sessions_last_activity_at::timestamptz[], :sessions_signed::boolean[],
                         :sessions_successor_id::text[], :sessions_state::jsonb[], :sessions_subject::text[])
    ON CONFLICT (session_id) DO UPDATE SET user_id = EXCLUDED.user_id, signed = EXCLUDED.signed,
        seq = EXCLUDED.seq, last_activity_at = EXCLUDED.last_activity_at, successor_id = EXCLUDED.successor_id,
        state = EXCLUDED.state, subject = EXCLUDED.subject
), event AS (
    SELECT * FROM unnest(:events_event_id::text[], :events_trace_id::text[], :events_session_id::text[],
                         :events_user_id::text[], :events_provider_id::text[], :events_run_id::text[],
                         :events_seq::bigint[], :events_timestamp_ms::bigint[], :events_kind::text[],
                         :events_extension_kind::text[], :events_render_schema_ref::text[],
                         :events_payload::jsonb[], :events_traceparent::text[])
        WITH ORDINALITY AS e (event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms, kind,
                              extension_kind, render_schema_ref, payload, traceparent, position)
), timeline AS (
    INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms,
                                 kind, extension_kind, render_schema_ref, payload)
    SELECT event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms,
           kind, extension_kind, render_schema_ref, payload FROM event ORDER BY position
), outbox AS (
    INSERT INTO outbox_events (event_id, session_id, max_attempts, traceparent)
    SELECT event_id, session_id, :max_attempts::integer, traceparent FROM event ORDER BY position
), run AS (
    INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode,
                               idempotency_key, status, score)
    SELECT * FROM unnest(:runs_run_id::text[], :runs_trace_id::text[], :runs_session_id::text[], :runs_user_id::text[],
                         :runs_provider_id::text[], :runs_mode::text[], :runs_routing_mode::text[],
                         :runs_idempotency_key::text[], :runs_status::text[], :runs_score::float8[])
), finished AS (
    UPDATE provider_runs r SET status = f.status, deadline_at = f.deadline_at, updated_at = now()
    FROM unnest(:changed_run_ids::text[], :changed_run_statuses::text[], :changed_run_deadlines::timestamptz[])
        AS f (run_id, status, deadline_at)
    WHERE r.run_id = f.run_id
), call AS (
    INSERT INTO provider_calls (call_id, run_id, session_id, provider_id, kind, request, traceparent, lease_owner,
                                lease_expires_at)
    SELECT c.*, :lease_owner::text, now() + :lease::interval
    FROM unnest(:calls_call_id::text[], :calls_run_id::text[], :calls_session_id::text[], :calls_provider_id::text[],
                :calls_kind::text[], :calls_request::jsonb[], :calls_traceparent::text[]) AS c
), settled AS (
    DELETE FROM provider_calls WHERE call_id = ANY (:answered_call_ids::text[])
), nonce AS (
    INSERT INTO signature_nonces (nonce, expires_at) SELECT n, now() + interval '11 minutes'
    FROM unnest(:nonces::text[]) AS n
)
INSERT INTO idempotency_keys (scope, key, body_hash, answer)
SELECT * FROM unnest(:keys_scope::text[], :keys_key::text[], :keys_body_hash::bytea[], :keys_answer::bytea[]);
