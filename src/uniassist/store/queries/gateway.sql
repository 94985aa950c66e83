-- name: timeline
-- Row by row, until the page has $5 bytes of payload: what lies behind it is neither read nor sent.
WITH RECURSIVE page AS (
    SELECT first.*, octet_length(first.payload)::bigint AS bytes, 1 AS number
    FROM (SELECT event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms, kind,
                 extension_kind, render_schema_ref, payload::text AS payload
          FROM timeline_events
          WHERE session_id = $1 AND seq > $2
            AND ($4::text IS NULL OR EXISTS (SELECT FROM sessions WHERE session_id = $1 AND subject = $4))
          ORDER BY seq LIMIT 1) AS first
    UNION ALL
    SELECT next.*, page.bytes + octet_length(next.payload), page.number + 1
    FROM page CROSS JOIN LATERAL (
        SELECT event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms, kind,
               extension_kind, render_schema_ref, payload::text AS payload
        FROM timeline_events
        WHERE session_id = $1 AND seq > page.seq
        ORDER BY seq LIMIT 1) AS next
    WHERE page.number < $3::int AND page.bytes < $5::bigint
)
SELECT * FROM page ORDER BY seq;

-- name: moved_sessions
SELECT session_id, sessions.seq, subject
FROM unnest($1::text[], $2::bigint[]) AS followed (session_id, cursor) JOIN sessions USING (session_id)
WHERE sessions.seq > followed.cursor;

-- name: latest_session
-- Of whoever used this userId first: another token's subject that names it later gets nothing that is meant for them.
SELECT session_id FROM sessions
WHERE user_id = $1 AND subject IS NOT DISTINCT FROM (
    SELECT subject FROM sessions WHERE user_id = $1 ORDER BY created_at, session_id LIMIT 1)
ORDER BY created_at DESC, session_id DESC LIMIT 1;

-- name: renew_calls
-- A row that is locked is being settled or taken over: it needs no renewal, and waiting for it could be a deadlock.
UPDATE provider_calls SET lease_expires_at = now() + $3::interval
WHERE call_id IN (SELECT call_id FROM provider_calls WHERE call_id = ANY ($1::text[]) AND lease_owner = $2
                  ORDER BY call_id FOR UPDATE SKIP LOCKED);

-- name: take_over_calls
UPDATE provider_calls SET lease_owner = $1, lease_expires_at = now() + $2::interval, attempt = attempt + 1
WHERE call_id IN (SELECT call_id FROM provider_calls WHERE lease_expires_at < now()
                    AND provider_id <> ALL ($4::text[])
                  ORDER BY lease_expires_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING call_id, run_id, session_id, provider_id, kind, request, traceparent, attempt;

-- name: forget_call
WITH forgotten AS (
    DELETE FROM provider_calls WHERE call_id = $1 AND lease_owner = $2 RETURNING run_id
)
UPDATE provider_runs r SET status = 'failed', updated_at = now()
FROM forgotten WHERE r.run_id = forgotten.run_id AND r.status IN ('pending', 'running');

-- name: cached_context
SELECT snapshot, (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at_ms
FROM user_context_cache WHERE profile_ref = $1 AND ttl_expires_at > now();

-- name: last_input
SELECT payload #>> '{input,locale}' AS locale, payload #>> '{input,timezone}' AS timezone
FROM timeline_events
WHERE kind = 'inbound' AND session_id = (
    SELECT session_id FROM sessions
    WHERE user_id = $1 AND subject IS NOT DISTINCT FROM (
        SELECT subject FROM sessions WHERE user_id = $1 ORDER BY created_at, session_id LIMIT 1)
    ORDER BY created_at DESC, session_id DESC LIMIT 1)
ORDER BY seq DESC LIMIT 1;

-- name: keep_context
INSERT INTO user_context_cache (profile_ref, user_id, snapshot, ttl_expires_at)
VALUES ($1, $2, $3::jsonb, now() + $4::interval)
ON CONFLICT (profile_ref) DO UPDATE SET snapshot = EXCLUDED.snapshot, ttl_expires_at = EXCLUDED.ttl_expires_at,
    updated_at = now()
RETURNING (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at_ms;

-- name: prune_nonces
WITH pruned AS (
    DELETE FROM signature_nonces WHERE nonce IN
        (SELECT nonce FROM signature_nonces WHERE expires_at < now() ORDER BY expires_at LIMIT $1)
    RETURNING 1
)
SELECT count(*) FROM pruned;

-- name: prune_keys
WITH pruned AS (
    DELETE FROM idempotency_keys WHERE (scope, key) IN
        (SELECT scope, key FROM idempotency_keys WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2)
    RETURNING 1
)
SELECT count(*) FROM pruned;
