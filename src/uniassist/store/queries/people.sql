-- What belongs to one person, whichever sessions it is in.

-- name: lock
-- In the order in which the gateway locks them, and before anything that it writes under these locks.
SELECT session_id FROM sessions WHERE user_id = :user_id ORDER BY session_id FOR UPDATE;

-- name: erase_runs
-- So that no answer under way is written down after the rest was emptied.
WITH call AS (
    DELETE FROM provider_calls WHERE run_id IN (SELECT run_id FROM provider_runs WHERE user_id = :user_id)
)
UPDATE provider_runs SET status = 'cancelled', updated_at = now()
WHERE user_id = :user_id AND status IN ('pending', 'running');

-- name: erase_timeline
-- The events stay, with their numbers: other readers count on seq without gaps. What was said in them goes, and
-- `erased` says so.
UPDATE timeline_events e SET payload = CASE e.kind
        WHEN 'inbound' THEN jsonb_build_object('input', jsonb_build_object(
            'schemaVersion', 'v0', 'traceId', e.trace_id, 'userId', e.user_id, 'sessionId', e.session_id,
            'source', coalesce(e.payload #>> '{input,source}', 'app'), 'timestampMs', e.timestamp_ms), 'erased', true)
        WHEN 'interaction' THEN '{"event": {"type": "ack"}, "source": "system", "erased": true}'::jsonb
        WHEN 'user_interaction' THEN (e.payload - 'payload') || '{"erased": true}'::jsonb
        WHEN 'routing_decision' THEN (e.payload #- '{handedOver,text}') || '{"erased": true}'::jsonb
        ELSE '{"erased": true}'::jsonb END
FROM sessions s
WHERE s.user_id = :user_id AND e.session_id = s.session_id
  AND (e.kind IN ('inbound', 'interaction', 'user_interaction', 'domain_event', 'error')
       OR (e.kind = 'routing_decision' AND e.payload #> '{handedOver,text}' IS NOT NULL));

-- name: tell_providers
-- Whoever served the person keeps what they keep: they are told, by a gateway, until they have answered.
INSERT INTO provider_erasures (user_id, provider_id, subjects)
SELECT :user_id::text, r.provider_id,
       (SELECT coalesce(array_agg(DISTINCT subject) FILTER (WHERE subject IS NOT NULL), '{}')
        FROM sessions WHERE user_id = :user_id)
FROM provider_runs r WHERE r.user_id = :user_id GROUP BY r.provider_id
ON CONFLICT (user_id, provider_id) DO UPDATE SET subjects = EXCLUDED.subjects, asked_at = now(), attempts = 0,
    due_at = now(), last_error = NULL;

-- name: claim_provider_erasures
-- Due again after :lease, should the gateway that took it not say what became of it. A pause above :longest is from before
-- the database's clock was set back, and over.
UPDATE provider_erasures e SET due_at = now() + :lease::interval, attempts = attempts + 1
FROM (SELECT user_id, provider_id FROM provider_erasures
      WHERE due_at <= now() OR due_at > now() + :longest::interval ORDER BY due_at LIMIT :limit
      FOR UPDATE SKIP LOCKED) AS due
WHERE e.user_id = due.user_id AND e.provider_id = due.provider_id
RETURNING e.user_id, e.provider_id, e.subjects, e.asked_at, e.attempts;

-- name: provider_erasure_done
-- Not one that was asked for anew meanwhile.
DELETE FROM provider_erasures WHERE user_id = :user_id AND provider_id = :provider_id AND asked_at = :asked_at;

-- name: provider_erasure_failed
UPDATE provider_erasures SET due_at = now() + :pause::interval, last_error = :error
WHERE user_id = :user_id AND provider_id = :provider_id AND asked_at = :asked_at;

-- name: erase_traces
WITH usage AS (DELETE FROM usage_windows WHERE who IN (
         SELECT 'app:' || subject FROM sessions WHERE user_id = :user_id AND subject IS NOT NULL
         UNION SELECT unnest(ARRAY['app:' || :user_id::text, 'signed:' || :user_id::text]))),
     context AS (DELETE FROM user_context_cache WHERE user_id = :user_id),
     answer AS (DELETE FROM idempotency_keys WHERE scope IN (
         SELECT 'ingest:' || subject FROM sessions WHERE user_id = :user_id AND subject IS NOT NULL
         UNION SELECT 'ingest:' || :user_id::text))
UPDATE sessions SET state = '{}' WHERE user_id = :user_id;

-- name: sessions
SELECT session_id, created_at, last_activity_at, signed, subject, successor_id, state AS memory FROM sessions
WHERE user_id = :user_id AND session_id > :after ORDER BY session_id LIMIT :limit;

-- name: events
SELECT session_id, seq, event_id, trace_id, provider_id, run_id, timestamp_ms, kind, payload FROM timeline_events
WHERE session_id = :session_id AND seq > :after ORDER BY seq LIMIT :limit;

-- name: runs
SELECT run_id, session_id, provider_id, mode, routing_mode, status, created_at, updated_at FROM provider_runs
WHERE user_id = :user_id AND run_id > :after ORDER BY run_id LIMIT :limit;

-- name: contexts
SELECT profile_ref, snapshot, updated_at, ttl_expires_at FROM user_context_cache
WHERE user_id = :user_id AND profile_ref > :after ORDER BY profile_ref LIMIT :limit;

-- name: plans
-- provider-plan's own; it is told of an erasure as any provider is.
SELECT concat_ws('/', nullif(subject, ''), plan_id) AS plan, body, version, timezone, created_at, changed_at, deleted_at
FROM plans
WHERE user_id = :user_id AND concat_ws('/', nullif(subject, ''), plan_id) > :after ORDER BY 1 LIMIT :limit;

-- name: wechat_person
SELECT openid, message_at, event_at, menu, created_at FROM wechat_people WHERE openid = :openid;

-- name: wechat_replies
SELECT event_id, position, session_id, text, choices, state, created_at FROM wechat_replies
WHERE openid = :openid AND event_id > :after ORDER BY event_id LIMIT :limit;

-- name: wechat_media
SELECT media_id, name, mime, size, sha256, state, kind, created_at FROM wechat_media
WHERE openid = :openid AND media_id > :after ORDER BY media_id LIMIT :limit;

-- name: reminders
SELECT reminder_id, matter, language, rule, due_at, state, said_at, created_at FROM reminders
WHERE user_id = :user_id AND reminder_id > :after ORDER BY reminder_id LIMIT :limit;
