-- name: timeline
-- Row by row, until the page has :max_bytes of payload: what lies behind it is neither read nor sent.
WITH RECURSIVE page AS (
    SELECT first.*, octet_length(first.payload)::bigint AS bytes, 1 AS number
    FROM (SELECT event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms, kind,
                 extension_kind, render_schema_ref, payload::text AS payload
          FROM timeline_events
          WHERE session_id = :session_id AND seq > :cursor
            AND (:subject::text IS NULL
                 OR EXISTS (SELECT FROM sessions WHERE session_id = :session_id AND subject = :subject))
          ORDER BY seq LIMIT 1) AS first
    UNION ALL
    SELECT next.*, page.bytes + octet_length(next.payload), page.number + 1
    FROM page CROSS JOIN LATERAL (
        SELECT event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms, kind,
               extension_kind, render_schema_ref, payload::text AS payload
        FROM timeline_events
        WHERE session_id = :session_id AND seq > page.seq
        ORDER BY seq LIMIT 1) AS next
    WHERE page.number < :limit::int AND page.bytes < :max_bytes::bigint
)
SELECT * FROM page ORDER BY seq;

-- name: said
-- The newest :limit things that were said up to :until, oldest first, none longer than :longest characters.
SELECT kind, provider_id, text FROM (
    SELECT seq, kind, provider_id, left(coalesce(payload #>> '{input,text}', payload #>> '{event,text}',
        payload #>> '{event,question}', payload #>> '{event,title}', payload #>> '{event,message}',
        payload #>> '{event,userMessage}', payload #>> '{event,event,title}'), :longest::int) AS text
    FROM timeline_events
    WHERE session_id = :session_id AND seq <= :until AND kind IN ('inbound', 'interaction')
    ORDER BY seq DESC LIMIT :limit
) AS newest WHERE text <> '' ORDER BY seq;

-- name: moved_sessions
SELECT session_id, sessions.seq, subject
FROM unnest(:session_ids::text[], :cursors::bigint[]) AS followed (session_id, cursor)
JOIN sessions USING (session_id)
WHERE sessions.seq > followed.cursor;

-- name: latest_session
-- Of whoever used this userId first: another token's subject that names it later gets nothing that is meant for them.
-- Where :proven, a session that nobody showed anything for is nobody's. Of the sessions, one that the provider served.
SELECT session_id FROM sessions
WHERE user_id = :user_id AND subject IS NOT DISTINCT FROM (
    SELECT subject FROM sessions WHERE user_id = :user_id AND (signed OR subject IS NOT NULL OR NOT :proven::boolean)
    ORDER BY created_at, session_id LIMIT 1)
  AND (signed OR subject IS NOT NULL OR NOT :proven::boolean)
  AND EXISTS (SELECT FROM provider_runs r
              WHERE r.session_id = sessions.session_id AND r.provider_id = :provider_id)
ORDER BY created_at DESC, session_id DESC LIMIT 1;

-- name: renew_calls
-- A row that is locked is being settled or taken over: it needs no renewal, and waiting for it could be a deadlock.
UPDATE provider_calls SET lease_expires_at = now() + :lease::interval
WHERE call_id IN (SELECT call_id FROM provider_calls WHERE call_id = ANY (:call_ids::text[]) AND lease_owner = :owner
                  ORDER BY call_id FOR UPDATE SKIP LOCKED);

-- name: calls_in_vain
-- Of runs that were cancelled, or gone: whatever is answered, nobody hears it.
SELECT asked.call_id FROM unnest(:call_ids::text[]) AS asked (call_id)
LEFT JOIN provider_calls c USING (call_id) LEFT JOIN provider_runs r ON r.run_id = c.run_id
WHERE c.call_id IS NULL OR r.status = 'cancelled';

-- name: count_keys
SELECT count(*) FROM idempotency_keys WHERE scope = :scope;

-- name: take_over_calls
-- A lease that ends later than one given now is from before the clock was set back, and cut to what it can be.
-- Calls of providers that the taker doesn't know are left to a gateway that does, for `patience`.
WITH cut AS (
    UPDATE provider_calls SET lease_expires_at = now() + :lease::interval
    WHERE call_id IN (SELECT call_id FROM provider_calls WHERE lease_expires_at > now() + :lease::interval
                      ORDER BY call_id LIMIT 1000 FOR UPDATE SKIP LOCKED)
)
UPDATE provider_calls SET lease_owner = :owner, lease_expires_at = now() + :lease::interval, attempt = attempt + 1
WHERE call_id IN (SELECT call_id FROM provider_calls WHERE lease_expires_at < now()
                    AND provider_id <> ALL (:exclude_providers::text[])
                    AND (provider_id = ANY (:known_providers::text[])
                         OR lease_expires_at < now() - :patience::interval)
                  ORDER BY lease_expires_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING call_id, run_id, session_id, provider_id, kind, request, traceparent, attempt;

-- name: overdue_runs
SELECT run_id, session_id FROM provider_runs WHERE deadline_at < now() ORDER BY deadline_at LIMIT :limit;

-- name: forget_run
UPDATE provider_runs SET status = 'failed', deadline_at = NULL, updated_at = now()
WHERE run_id = :run_id AND status = 'running';

-- name: forget_call
WITH forgotten AS (
    DELETE FROM provider_calls WHERE call_id = :call_id AND lease_owner = :owner RETURNING run_id
)
UPDATE provider_runs r SET status = 'failed', updated_at = now()
FROM forgotten WHERE r.run_id = forgotten.run_id AND r.status IN ('pending', 'running');

-- name: cached_context
SELECT snapshot, (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at_ms
FROM user_context_cache WHERE profile_ref = :profile_ref AND ttl_expires_at > now()
  AND updated_at <= now();  -- not kept by a clock that was set back since

-- name: last_input
SELECT payload #>> '{input,locale}' AS locale, payload #>> '{input,timezone}' AS timezone
FROM timeline_events
WHERE kind = 'inbound' AND session_id = (
    SELECT session_id FROM sessions
    WHERE user_id = :user_id AND subject IS NOT DISTINCT FROM (
        SELECT subject FROM sessions
        WHERE user_id = :user_id AND (signed OR subject IS NOT NULL OR NOT :proven::boolean)
        ORDER BY created_at, session_id LIMIT 1)
      AND (signed OR subject IS NOT NULL OR NOT :proven::boolean)
    ORDER BY created_at DESC, session_id DESC LIMIT 1)
ORDER BY seq DESC LIMIT 1;

-- name: keep_context
INSERT INTO user_context_cache (profile_ref, user_id, snapshot, ttl_expires_at)
VALUES (:profile_ref, :user_id, :snapshot::jsonb, now() + :kept_for::interval)
ON CONFLICT (profile_ref) DO UPDATE SET snapshot = EXCLUDED.snapshot, ttl_expires_at = EXCLUDED.ttl_expires_at,
    updated_at = now()
RETURNING (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at_ms;

-- name: prune_nonces
WITH pruned AS (
    DELETE FROM signature_nonces WHERE nonce IN
        (SELECT nonce FROM signature_nonces WHERE expires_at < now() ORDER BY expires_at LIMIT :limit)
    RETURNING 1
)
SELECT count(*) FROM pruned;

-- name: prune_keys
WITH pruned AS (
    DELETE FROM idempotency_keys WHERE (scope, key) IN
        (SELECT scope, key FROM idempotency_keys WHERE created_at < now() - :older_than::interval
         ORDER BY created_at LIMIT :limit)
    RETURNING 1
)
SELECT count(*) FROM pruned;

-- name: use_nonce
INSERT INTO signature_nonces (nonce, expires_at) VALUES (:nonce, now() + interval '11 minutes')
ON CONFLICT (nonce) DO NOTHING RETURNING true;

-- name: known_sessions
SELECT session_id FROM sessions
WHERE session_id = ANY (:session_ids::text[]) AND (:subject::text IS NULL OR subject = :subject);

-- name: served_session
SELECT EXISTS (SELECT FROM provider_runs WHERE session_id = :session_id AND provider_id = :provider_id);

-- name: last_shown
-- Of the newest session of the line: its newest events, newest first, and who has the floor.
WITH RECURSIVE line AS (
    SELECT session_id, successor_id, state FROM sessions
    WHERE session_id = :session_id AND user_id = :user_id AND (:subject::text IS NULL OR subject = :subject)
    UNION ALL
    SELECT s.session_id, s.successor_id, s.state FROM line JOIN sessions s ON s.session_id = line.successor_id
)
SELECT line.session_id, e.event_id, e.trace_id, e.seq, e.kind, e.provider_id, e.run_id, e.payload::text AS payload,
       line.state #>> '{floor,provider_id}' AS floor, (line.state #>> '{floor,until_ms}')::bigint AS floor_until_ms
FROM line CROSS JOIN LATERAL (
    SELECT event_id, trace_id, seq, kind, provider_id, run_id, payload FROM timeline_events
    WHERE session_id = line.session_id ORDER BY seq DESC LIMIT :limit) AS e
WHERE line.successor_id IS NULL
ORDER BY e.seq DESC;

-- name: traced
-- Where in a line of sessions a request with this traceId was written.
WITH RECURSIVE line AS (
    SELECT session_id, successor_id FROM sessions
    WHERE session_id = :session_id AND user_id = :user_id AND (:subject::text IS NULL OR subject = :subject)
    UNION ALL
    SELECT s.session_id, s.successor_id FROM line JOIN sessions s ON s.session_id = line.successor_id
)
SELECT e.session_id, e.seq, e.kind, e.run_id, e.timestamp_ms
FROM line JOIN timeline_events e ON e.session_id = line.session_id
WHERE e.trace_id = :trace_id AND e.kind IN ('inbound', 'user_interaction')
ORDER BY e.seq LIMIT 1;

-- name: owes_calls
SELECT EXISTS (SELECT FROM provider_calls WHERE run_id = :run_id);

-- name: remote_of_run
SELECT remote::text FROM provider_runs WHERE run_id = :run_id;

-- name: remote_of_session
SELECT remote::text FROM provider_runs
WHERE session_id = :session_id AND provider_id = :provider_id AND remote IS NOT NULL
ORDER BY created_at DESC LIMIT 1;

-- name: keep_remote
UPDATE provider_runs SET remote = :remote::jsonb WHERE run_id = :run_id;

-- name: run_status
SELECT status FROM provider_runs WHERE run_id = :run_id;

-- name: traced_run
SELECT r.session_id, r.trace_id FROM provider_runs r JOIN sessions s USING (session_id)
WHERE r.run_id = :run_id AND s.user_id = :user_id AND (:subject::text IS NULL OR s.subject = :subject);

-- name: traced_events
-- What a request led to, and whatever was said of its runs.
SELECT event_id, trace_id, session_id, user_id, provider_id, run_id, seq, timestamp_ms, kind,
       extension_kind, render_schema_ref, payload::text AS payload
FROM timeline_events
WHERE session_id = :session_id
  AND (trace_id = :trace_id
       OR run_id IN (SELECT run_id FROM provider_runs WHERE session_id = :session_id AND trace_id = :trace_id))
ORDER BY seq LIMIT :limit;

-- name: requests_of_user
-- The first run of each request, newest first.
SELECT run_id, session_id, trace_id, created_at FROM (
    SELECT DISTINCT ON (r.session_id, r.trace_id) r.run_id, r.session_id, r.trace_id, r.created_at
    FROM provider_runs r JOIN sessions s USING (session_id)
    WHERE r.user_id = :user_id AND s.user_id = :user_id AND (:subject::text IS NULL OR s.subject = :subject)
      AND (:session_id::text IS NULL OR r.session_id = :session_id)
    ORDER BY r.session_id, r.trace_id, r.created_at, r.run_id) AS first
WHERE :before::text IS NULL OR run_id < :before
ORDER BY run_id DESC LIMIT :limit;
