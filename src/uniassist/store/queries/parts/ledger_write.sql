-- What a batch writes: one statement, made of the parts that it has rows for. A part that isn't in it costs nothing:
-- neither parameters to send, nor a table and its indexes to open.
-- `gate` has one row where the rest is to be written; `sessions`, `going_on` or `beginning` defines it.

-- name: sessions
-- Locked before, in this transaction.
touched AS (
    INSERT INTO sessions (session_id, user_id, seq, last_activity_at, signed, successor_id, state, subject)
    SELECT * FROM unnest(:sessions_session_id::text[], :sessions_user_id::text[], :sessions_seq::bigint[],
                         :sessions_last_activity_at::timestamptz[], :sessions_signed::boolean[],
                         :sessions_successor_id::text[], :sessions_state::jsonb[], :sessions_subject::text[])
    ON CONFLICT (session_id) DO UPDATE SET user_id = EXCLUDED.user_id, signed = EXCLUDED.signed,
        seq = EXCLUDED.seq, last_activity_at = EXCLUDED.last_activity_at, successor_id = EXCLUDED.successor_id,
        state = EXCLUDED.state, subject = EXCLUDED.subject
), gate AS (
    SELECT 1
)

-- name: going_on
-- One session that nobody locked: written only while its row is the very one that was decided on. Whatever changes a
-- session's row gives it another xmin, and one that is deleted and opened again has another as well.
touched AS (
    UPDATE sessions SET user_id = :user_id, signed = :signed, seq = :seq, last_activity_at = :last_activity_at,
        state = :state, subject = :subject
    WHERE session_id = :session_id AND xmin::text::bigint = :version::bigint
    RETURNING session_id
), gate AS (
    SELECT 1 FROM touched
)

-- name: beginning
-- One session that wasn't there: written only while there is none.
touched AS (
    INSERT INTO sessions (session_id, user_id, seq, last_activity_at, signed, state, subject)
    VALUES (:session_id, :user_id, :seq, :last_activity_at, :signed, :state, :subject)
    ON CONFLICT (session_id) DO NOTHING
    RETURNING session_id
), gate AS (
    SELECT 1 FROM touched
)

-- name: events
event AS MATERIALIZED (
    SELECT e.* FROM unnest(:events_event_id::text[], :events_trace_id::text[], :events_session_id::text[],
                           :events_user_id::text[], :events_provider_id::text[], :events_run_id::text[],
                           :events_seq::bigint[], :events_timestamp_ms::bigint[], :events_kind::text[],
                           :events_extension_kind::text[], :events_render_schema_ref::text[],
                           :events_payload::jsonb[], :events_traceparent::text[])
        WITH ORDINALITY AS e (event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms, kind,
                              extension_kind, render_schema_ref, payload, traceparent, position)
    CROSS JOIN gate
), timeline AS (
    INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms,
                                 kind, extension_kind, render_schema_ref, payload)
    SELECT event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms,
           kind, extension_kind, render_schema_ref, payload FROM event ORDER BY position
), outbox AS (
    INSERT INTO outbox_events (event_id, session_id, max_attempts, traceparent)
    SELECT event_id, session_id, :max_attempts::integer, traceparent FROM event ORDER BY position
)

-- name: runs
run AS (
    INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode,
                               idempotency_key, status, score)
    SELECT r.* FROM unnest(:runs_run_id::text[], :runs_trace_id::text[], :runs_session_id::text[],
                           :runs_user_id::text[], :runs_provider_id::text[], :runs_mode::text[],
                           :runs_routing_mode::text[], :runs_idempotency_key::text[], :runs_status::text[],
                           :runs_score::float8[]) AS r
    CROSS JOIN gate
)

-- name: run_status
finished AS (
    UPDATE provider_runs r SET status = f.status, deadline_at = f.deadline_at, updated_at = now()
    FROM unnest(:changed_run_ids::text[], :changed_run_statuses::text[], :changed_run_deadlines::timestamptz[])
        AS f (run_id, status, deadline_at)
    CROSS JOIN gate
    WHERE r.run_id = f.run_id
)

-- name: calls
call AS (
    INSERT INTO provider_calls (call_id, run_id, session_id, provider_id, kind, request, traceparent, lease_owner,
                                lease_expires_at)
    SELECT c.*, :lease_owner::text, now() + :lease::interval
    FROM unnest(:calls_call_id::text[], :calls_run_id::text[], :calls_session_id::text[], :calls_provider_id::text[],
                :calls_kind::text[], :calls_request::jsonb[], :calls_traceparent::text[]) AS c
    CROSS JOIN gate
)

-- name: answered_calls
settled AS (
    DELETE FROM provider_calls WHERE call_id = ANY (:answered_call_ids::text[]) AND EXISTS (SELECT FROM gate)
)

-- name: nonces
nonce AS (
    INSERT INTO signature_nonces (nonce, expires_at) SELECT n, now() + interval '11 minutes'
    FROM unnest(:nonces::text[]) AS n CROSS JOIN gate
)

-- name: keys
key AS (
    INSERT INTO idempotency_keys (scope, key, body_hash, answer)
    SELECT k.* FROM unnest(:keys_scope::text[], :keys_key::text[], :keys_body_hash::bytea[],
                           :keys_answer::bytea[]) AS k
    CROSS JOIN gate
)

-- name: end
SELECT EXISTS (SELECT FROM gate) AS is_written
