-- The ledger: sessions locked in id order, then everything of a batch in one statement.

-- name: open_and_lock
-- $1..$5: sessions to open when missing; $6: sessions to lock. Rows opened by a concurrent commit after this
-- statement's snapshot are missing from the answer: ask again.
WITH opened AS (
    INSERT INTO sessions (session_id, user_id, signed, last_activity_at, subject)
    SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::timestamptz[], $5::text[])
    ORDER BY 1
    ON CONFLICT (session_id) DO NOTHING
    RETURNING session_id, user_id, seq, last_activity_at, signed, successor_id, state, subject
), locked AS (
    SELECT session_id, user_id, seq, last_activity_at, signed, successor_id, state, subject
    FROM sessions WHERE session_id = ANY ($6::text[]) ORDER BY session_id FOR UPDATE
)
SELECT *, true AS is_new FROM opened UNION ALL SELECT *, false FROM locked;

-- name: newest_sessions
WITH RECURSIVE line AS (
    SELECT session_id AS origin, session_id, successor_id FROM sessions WHERE session_id = ANY ($1::text[])
    UNION ALL
    SELECT line.origin, s.session_id, s.successor_id FROM line JOIN sessions s ON s.session_id = line.successor_id
)
SELECT origin, session_id FROM line WHERE successor_id IS NULL;

-- name: locked_sessions
WITH free AS (
    SELECT session_id FROM sessions WHERE session_id = ANY ($1::text[]) FOR UPDATE SKIP LOCKED
)
SELECT session_id FROM sessions
WHERE session_id = ANY ($1::text[]) AND session_id NOT IN (SELECT session_id FROM free);

-- name: forget_sessions
DELETE FROM sessions WHERE session_id = ANY ($1::text[]) AND seq = 0;

-- name: known_nonces
SELECT nonce FROM signature_nonces WHERE nonce = ANY ($1::text[]);

-- name: known_keys
SELECT k.scope, k.key, k.body_hash, k.answer
FROM idempotency_keys k
JOIN unnest($1::text[], $2::text[]) AS wanted (scope, key) ON wanted.scope = k.scope AND wanted.key = k.key;

-- name: held_calls
SELECT call_id FROM provider_calls
WHERE call_id = ANY ($1::text[]) AND lease_owner = $2 ORDER BY call_id FOR UPDATE;

-- name: known_runs
SELECT run_id, session_id, user_id, provider_id, mode, routing_mode, idempotency_key, status
FROM provider_runs WHERE run_id = ANY ($1::text[]);

-- name: write
WITH touched AS (
    INSERT INTO sessions (session_id, user_id, seq, last_activity_at, signed, successor_id, state, subject)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::boolean[], $6::text[],
                         $7::jsonb[], $49::text[])
    ON CONFLICT (session_id) DO UPDATE SET user_id = EXCLUDED.user_id, signed = EXCLUDED.signed,
        seq = EXCLUDED.seq, last_activity_at = EXCLUDED.last_activity_at, successor_id = EXCLUDED.successor_id,
        state = EXCLUDED.state, subject = EXCLUDED.subject
), event AS (
    SELECT * FROM unnest($8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[],
                         $15::bigint[], $16::text[], $17::text[], $18::text[], $19::jsonb[], $20::text[])
        WITH ORDINALITY AS e (event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms, kind,
                              extension_kind, render_schema_ref, payload, traceparent, position)
), timeline AS (
    INSERT INTO timeline_events (event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms,
                                 kind, extension_kind, render_schema_ref, payload)
    SELECT event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms,
           kind, extension_kind, render_schema_ref, payload FROM event ORDER BY position
), outbox AS (
    INSERT INTO outbox_events (event_id, session_id, max_attempts, traceparent)
    SELECT event_id, session_id, $21::integer, traceparent FROM event ORDER BY position
), run AS (
    INSERT INTO provider_runs (run_id, trace_id, session_id, user_id, provider_id, mode, routing_mode,
                               idempotency_key, status, score)
    SELECT * FROM unnest($22::text[], $23::text[], $24::text[], $25::text[], $26::text[], $27::text[], $28::text[],
                         $29::text[], $30::text[], $31::float8[])
), finished AS (
    UPDATE provider_runs r SET status = f.status, updated_at = now()
    FROM unnest($32::text[], $33::text[]) AS f (run_id, status) WHERE r.run_id = f.run_id
), call AS (
    INSERT INTO provider_calls (call_id, run_id, session_id, provider_id, kind, request, traceparent, lease_owner,
                                lease_expires_at)
    SELECT c.*, $41::text, now() + $42::interval
    FROM unnest($34::text[], $35::text[], $36::text[], $37::text[], $38::text[], $39::jsonb[], $40::text[]) AS c
), settled AS (
    DELETE FROM provider_calls WHERE call_id = ANY ($43::text[])
), nonce AS (
    INSERT INTO signature_nonces (nonce, expires_at) SELECT n, now() + interval '11 minutes'
    FROM unnest($44::text[]) AS n
)
INSERT INTO idempotency_keys (scope, key, body_hash, answer)
SELECT * FROM unnest($45::text[], $46::text[], $47::bytea[], $48::bytea[]);
