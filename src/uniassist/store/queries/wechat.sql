-- adapter-wechat's own tables. What is done for a person is written only while their row is as it was when looked at.

-- name: receive
-- $1 push, $2 openid, $3 seconds to hold, $4 when the person acted, $5 'message', 'event' or null: what it opens.
-- An answered push holds for a second more: nothing shall overtake its answer on the way to the phone.
-- No row: it is from before they left, and nothing of it is noted.
WITH pushed AS (
    INSERT INTO wechat_pushes AS p (push_key, openid, held_until)
    SELECT $1, $2, now() + make_interval(secs => $3)
    WHERE NOT EXISTS (SELECT FROM wechat_left WHERE person = sha256(convert_to($2, 'UTF8')) AND left_at >= $4)
    ON CONFLICT (push_key) DO UPDATE SET pushes = p.pushes + 1,
        held_until = CASE WHEN p.reply IS NULL THEN EXCLUDED.held_until
                          WHEN p.reply <> '' THEN now() + interval '1 second' END
    RETURNING pushes, decision, reply, extract(epoch FROM now() - created_at)::float8 AS age_seconds
), person AS (
    INSERT INTO wechat_people AS w (openid, message_at, event_at, due_at)
    SELECT $2, CASE WHEN $5 = 'message' THEN least($4, now()) END, CASE WHEN $5 = 'event' THEN least($4, now()) END,
           now() + make_interval(secs => $3)
    FROM pushed WHERE pushes = 1
    ON CONFLICT (openid) DO UPDATE SET
        message_at = greatest(w.message_at, EXCLUDED.message_at),
        message_sends = CASE WHEN EXCLUDED.message_at < w.message_at OR EXCLUDED.message_at IS NULL
                             THEN w.message_sends ELSE 0 END,
        event_at = greatest(w.event_at, EXCLUDED.event_at),
        event_sends = CASE WHEN EXCLUDED.event_at < w.event_at OR EXCLUDED.event_at IS NULL
                           THEN w.event_sends ELSE 0 END,
        due_at = least(w.due_at, EXCLUDED.due_at),
        failures = 0
    RETURNING openid, xmax = 0 AS is_new
), begun AS (
    -- What was said before we knew them isn't said now.
    INSERT INTO wechat_cursors AS c (session_id, seq)
    SELECT session_id, seq FROM sessions
    WHERE user_id = 'wx:' || $2 AND EXISTS (SELECT FROM person WHERE is_new)
    ON CONFLICT (session_id) DO UPDATE SET seq = greatest(c.seq, EXCLUDED.seq)
), resumed AS (
    UPDATE wechat_replies SET state = 'waiting', updated_at = now()
    WHERE openid = $2 AND state = 'parked' AND $5 IS NOT NULL AND EXISTS (SELECT FROM person)
)
SELECT pushes, decision, reply, age_seconds FROM pushed;

-- name: look
-- A person, one of their pushes ($2, or null), what is new on their timelines (at most $3) and what is open (at most
-- $4), as one look finds them. `version` changes with every change of the person's row, by anyone; `acted` when the
-- person acts.
SELECT p.xmin::text AS version, concat_ws(' ', p.message_at, p.event_at) AS acted, p.openid,
       extract(epoch FROM now() - p.message_at)::float8 AS message_age, p.message_sends,
       extract(epoch FROM now() - p.event_at)::float8 AS event_age, p.event_sends, p.menu, p.replies, p.failures,
       p.lease_owner, p.lease_expires_at > now() IS TRUE AS is_leased,
       h.pushes, h.decision, h.reply, extract(epoch FROM now() - h.created_at)::float8 AS age_seconds,
       CASE WHEN $2::text IS NULL THEN (
           SELECT extract(epoch FROM max(held_until) - now())::float8 FROM wechat_pushes
           WHERE openid = $1 AND held_until > now()) END AS held_seconds,
       (SELECT json_agg(json_build_array(event_id, trace_id, session_id, run_id, provider_id, seq, payload)
                        ORDER BY created_at, session_id, seq) FROM (
           SELECT e.*, s.created_at FROM sessions s
           LEFT JOIN wechat_cursors c ON c.session_id = s.session_id
           JOIN LATERAL (
               SELECT t.event_id, t.trace_id, t.session_id, t.run_id, t.provider_id, t.seq,
                      CASE WHEN t.kind = 'interaction' THEN t.payload::text END AS payload
               FROM timeline_events t WHERE t.session_id = s.session_id AND t.seq > coalesce(c.seq, 0)
               ORDER BY t.seq LIMIT $3
           ) e ON true
           WHERE s.user_id = 'wx:' || $1 AND s.signed AND starts_with(s.session_id, 'wx-session:')
             AND s.seq > coalesce(c.seq, 0)
           ORDER BY s.created_at, s.session_id, e.seq LIMIT $3) new) AS new_events,
       (SELECT json_agg(json_build_array(event_id, position, session_id, trace_id, run_id, text, pieces, in_flight,
                                         choices::text, state) ORDER BY position) FROM (
           SELECT * FROM wechat_replies WHERE openid = $1 AND state IN ('waiting', 'sending', 'parked')
           ORDER BY position LIMIT $4) r) AS open_replies
FROM wechat_people p LEFT JOIN wechat_pushes h ON h.push_key = $2 WHERE p.openid = $1;

-- name: write
-- $1 openid; $2..$8 the person; $9..$18 replies, new or changed; $19, $20 cursors; $21..$26 reports;
-- $27..$29 the push; $34 the version that all this was decided on. Whether it still was that: else nothing is written.
WITH person AS (
    UPDATE wechat_people SET message_sends = $2, event_sends = $3, menu = $4::jsonb, replies = $5, failures = $6,
        message_at = CASE WHEN $30 THEN NULL ELSE message_at END,
        due_at = CASE WHEN $7 THEN now() + make_interval(secs => $8::float8) ELSE due_at END,
        lease_owner = CASE WHEN $31 THEN NULL ELSE lease_owner END,
        lease_expires_at = CASE WHEN $31 THEN NULL WHEN lease_owner = $32 THEN now() + make_interval(secs => $33)
                                ELSE lease_expires_at END
    WHERE openid = $1 AND xmin = $34::text::xid RETURNING openid
), reply AS (
    INSERT INTO wechat_replies AS r (openid, event_id, position, session_id, trace_id, run_id, text, pieces, in_flight,
                                     choices, state)
    SELECT $1, * FROM unnest($9::text[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::text[],
                             $15::integer[], $16::integer[], $17::jsonb[], $18::text[])
    WHERE EXISTS (SELECT FROM person)
    ON CONFLICT (event_id) DO UPDATE SET text = EXCLUDED.text, pieces = EXCLUDED.pieces,
        in_flight = EXCLUDED.in_flight, state = EXCLUDED.state, updated_at = now()
), cursor AS (
    INSERT INTO wechat_cursors AS c (session_id, seq) SELECT * FROM unnest($19::text[], $20::bigint[])
    WHERE EXISTS (SELECT FROM person)
    ON CONFLICT (session_id) DO UPDATE SET seq = greatest(c.seq, EXCLUDED.seq)
), report AS (
    INSERT INTO wechat_reports (openid, session_id, trace_id, run_id, event_ids, outcome, detail)
    SELECT $1, session_id, trace_id, run_id, string_to_array(event_ids, E'\n'), outcome, detail
    FROM unnest($21::text[], $22::text[], $23::text[], $24::text[], $25::text[], $26::text[])
        AS r (session_id, trace_id, run_id, event_ids, outcome, detail)
    WHERE EXISTS (SELECT FROM person)
), push AS (
    UPDATE wechat_pushes SET decision = coalesce($28::jsonb, decision), reply = coalesce($29, reply),
        held_until = CASE WHEN $29 IS NULL THEN held_until WHEN $29 <> '' THEN now() + interval '1 second' END
    WHERE push_key = $27 AND EXISTS (SELECT FROM person)
)
SELECT count(*) = 1 FROM person;

-- name: let_go
-- A push that ends in silence: nothing more will be shown through it, the sender may go on. The person is locked
-- before the push, as in `write`.
WITH person AS (
    SELECT openid FROM wechat_people WHERE openid = (SELECT openid FROM wechat_pushes WHERE push_key = $1) FOR UPDATE
), pushed AS (
    UPDATE wechat_pushes SET reply = coalesce(reply, ''), held_until = NULL
    WHERE push_key = $1 AND EXISTS (SELECT FROM person) RETURNING openid
)
UPDATE wechat_people SET due_at = least(due_at, now()) WHERE openid = (SELECT openid FROM pushed);

-- name: answered
-- Whether the timeline has an answer to this trace that isn't among the replies yet, or waits among them.
SELECT EXISTS (
    SELECT FROM wechat_replies WHERE openid = $1 AND trace_id = $2 AND state IN ('waiting', 'sending')
) OR EXISTS (
    SELECT FROM sessions s LEFT JOIN wechat_cursors c ON c.session_id = s.session_id
    JOIN timeline_events t ON t.session_id = s.session_id AND t.seq > coalesce(c.seq, 0)
    WHERE s.user_id = 'wx:' || $1 AND s.signed AND s.seq > coalesce(c.seq, 0)
      AND t.kind = 'interaction' AND t.trace_id = $2
);

-- name: interacted
-- Whether this trace's interaction is on the timeline already, among the last events of the person's sessions.
SELECT EXISTS (
    SELECT FROM sessions s JOIN timeline_events t ON t.session_id = s.session_id AND t.seq > s.seq - 500
    WHERE s.user_id = 'wx:' || $1 AND t.kind = 'user_interaction' AND t.trace_id = $2
);

-- name: mark_due
WITH found AS (
    SELECT DISTINCT substr(e.user_id, 4) AS openid FROM timeline_events e
    WHERE e.event_id = ANY ($1::text[]) AND e.kind = 'interaction'
      AND starts_with(e.session_id, 'wx-session:') AND starts_with(e.user_id, 'wx:')
      AND NOT EXISTS (SELECT FROM wechat_replies r WHERE r.event_id = e.event_id)
), locked AS (
    SELECT openid FROM wechat_people WHERE openid IN (SELECT openid FROM found) ORDER BY openid FOR UPDATE
)
UPDATE wechat_people p SET due_at = CASE WHEN failures > 0 THEN coalesce(due_at, now()) ELSE now() END
FROM locked WHERE p.openid = locked.openid;

-- name: sweep
-- The same without a stream to say whose turn it is: people who may be written to and have something unsaid.
WITH locked AS (
    SELECT p.openid FROM wechat_people p
    WHERE (p.due_at IS NULL OR p.due_at > now()) AND p.failures = 0 AND p.message_at > now() - interval '49 hours'
      AND EXISTS (
        SELECT FROM sessions s LEFT JOIN wechat_cursors c ON c.session_id = s.session_id
        JOIN timeline_events t ON t.session_id = s.session_id AND t.seq > coalesce(c.seq, 0)
        WHERE s.user_id = 'wx:' || p.openid AND s.signed AND s.seq > coalesce(c.seq, 0)
          AND starts_with(s.session_id, 'wx-session:') AND t.kind = 'interaction')
    ORDER BY p.openid FOR UPDATE
)
UPDATE wechat_people p SET due_at = now() FROM locked WHERE p.openid = locked.openid;

-- name: claim_due
-- $4: whom the owner serves already; a lease of theirs may have run out.
UPDATE wechat_people SET lease_owner = $1, lease_expires_at = now() + make_interval(secs => $2)
WHERE openid IN (
    SELECT openid FROM wechat_people p
    WHERE due_at <= now() AND (lease_expires_at IS NULL OR lease_expires_at < now()) AND openid <> ALL ($4::text[])
      AND NOT EXISTS (SELECT FROM wechat_pushes h WHERE h.openid = p.openid AND h.held_until > now())
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING openid;

-- name: renew_leases
-- Who is being written to waits for the next time: the others' leases don't wait for them.
UPDATE wechat_people SET lease_expires_at = now() + make_interval(secs => $3)
WHERE openid IN (SELECT openid FROM wechat_people WHERE openid = ANY ($2::text[]) AND lease_owner = $1
                 FOR UPDATE SKIP LOCKED);

-- name: give_up_lease
UPDATE wechat_people SET lease_owner = NULL, lease_expires_at = NULL, due_at = now() + make_interval(secs => $3)
WHERE openid = $1 AND lease_owner = $2;

-- name: reports
SELECT id, openid, session_id, trace_id, run_id, event_ids, outcome, detail,
       (extract(epoch FROM created_at) * 1000)::bigint AS timestamp_ms
FROM wechat_reports ORDER BY id LIMIT $1;

-- name: forget_reports
DELETE FROM wechat_reports WHERE id = ANY ($1::bigint[]) RETURNING id;

-- name: add_medium
INSERT INTO wechat_media (openid, media_id, name) VALUES ($1, $2, $3) ON CONFLICT (openid, media_id) DO NOTHING;

-- name: medium
SELECT openid, media_id, name, mime, size, sha256, state, attempts FROM wechat_media
WHERE openid = $1 AND media_id = $2;

-- name: claim_media
-- Until it is fetched, asked for again after a while that doubles: from $1 seconds to an hour.
UPDATE wechat_media SET due_at = now() + make_interval(secs => least($1 * 2 ^ least(attempts, 12), 3600)), attempts = attempts + 1
WHERE (openid, media_id) IN (SELECT openid, media_id FROM wechat_media WHERE state = 'waiting' AND due_at <= now()
                             ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING openid, media_id, name, mime, size, sha256, state, attempts;

-- name: claim_medium
UPDATE wechat_media SET due_at = now() + make_interval(secs => $3), attempts = attempts + 1
WHERE openid = $1 AND media_id = $2 AND state = 'waiting' AND due_at <= now()
RETURNING openid, media_id, name, mime, size, sha256, state, attempts;

-- name: store_medium
UPDATE wechat_media SET state = 'stored', mime = $3, size = $4, sha256 = $5 WHERE openid = $1 AND media_id = $2;

-- name: lose_medium
UPDATE wechat_media SET state = 'lost' WHERE openid = $1 AND media_id = $2;

-- name: claim_old_media
-- Kept for longer than $1 days, of people for whom no run is open; others look again after $2 seconds.
UPDATE wechat_media SET due_at = now() + make_interval(secs => $2)
WHERE (openid, media_id) IN (
    SELECT openid, media_id FROM wechat_media m
    WHERE created_at < now() - make_interval(days => $1) AND due_at <= now() AND state <> 'waiting'
      AND NOT EXISTS (
        SELECT FROM sessions s JOIN provider_runs r ON r.session_id = s.session_id
        WHERE s.user_id = 'wx:' || m.openid AND r.status IN ('pending', 'running'))
    ORDER BY created_at LIMIT $3 FOR UPDATE OF m SKIP LOCKED)
RETURNING openid, media_id, name, mime, size, sha256, state, attempts;

-- name: forget_media
DELETE FROM wechat_media WHERE (openid, media_id) IN (SELECT * FROM unnest($1::text[], $2::text[]));

-- name: add_left_media
INSERT INTO wechat_left_media (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING;

-- name: left_media
SELECT name FROM wechat_left_media ORDER BY name LIMIT $1;

-- name: forget_left_media
DELETE FROM wechat_left_media WHERE name = ANY ($1::text[]);

-- name: backlog
SELECT state, count(*) AS replies FROM wechat_replies WHERE state IN ('waiting', 'sending', 'parked') GROUP BY state;

-- name: prune
WITH push AS (
    DELETE FROM wechat_pushes WHERE push_key IN
        (SELECT push_key FROM wechat_pushes WHERE created_at < now() - interval '2 days' ORDER BY created_at LIMIT $1)
), gone AS (
    DELETE FROM wechat_left WHERE left_at < now() - interval '2 days'
), reply AS (
    DELETE FROM wechat_replies WHERE event_id IN
        (SELECT event_id FROM wechat_replies
         WHERE updated_at < now() - interval '30 days'
            OR (updated_at < now() - interval '7 days' AND state IN ('sent', 'refused', 'unknown'))
         ORDER BY updated_at LIMIT $1)
)
SELECT 1;

-- name: erase_lock
-- In the order in which the gateway locks them, and before anything that it writes under these locks.
SELECT session_id FROM sessions WHERE user_id = 'wx:' || $1 ORDER BY session_id FOR UPDATE;

-- name: leave
-- That $1 left at $2 by the platform's clock, which may be off ours. No row: they did so before, or have done something
-- since, and this comes late.
WITH person AS (SELECT message_at, event_at FROM wechat_people WHERE openid = $1 FOR UPDATE)
INSERT INTO wechat_left AS l (person, left_at)
SELECT sha256(convert_to($1, 'UTF8')), least($2, now() + interval '5 minutes')
WHERE NOT EXISTS (SELECT FROM person WHERE date_trunc('second', greatest(message_at, event_at)) > $2)
ON CONFLICT (person) DO UPDATE SET left_at = EXCLUDED.left_at WHERE EXCLUDED.left_at > l.left_at
RETURNING left_at;

-- name: erase_person
-- The names of media stay until their files are removed.
WITH reply AS (DELETE FROM wechat_replies WHERE openid = $1),
     push AS (DELETE FROM wechat_pushes WHERE openid = $1),
     report AS (DELETE FROM wechat_reports WHERE openid = $1),
     person AS (DELETE FROM wechat_people WHERE openid = $1),
     medium AS (DELETE FROM wechat_media WHERE openid = $1 RETURNING name)
INSERT INTO wechat_left_media (name) SELECT name FROM medium ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name
RETURNING name;

-- name: erase_runs
-- So that no answer under way is written down after the rest was emptied.
WITH call AS (
    DELETE FROM provider_calls WHERE run_id IN (SELECT run_id FROM provider_runs WHERE user_id = 'wx:' || $1)
)
UPDATE provider_runs SET status = 'cancelled', updated_at = now()
WHERE user_id = 'wx:' || $1 AND status IN ('pending', 'running');

-- name: erase_timeline
-- The events stay, with their numbers: other readers count on seq without gaps. What was said in them goes.
UPDATE timeline_events e SET payload = CASE e.kind
        WHEN 'inbound' THEN jsonb_build_object('input', jsonb_build_object(
            'schemaVersion', 'v0', 'traceId', e.trace_id, 'userId', e.user_id, 'sessionId', e.session_id,
            'source', 'wechat', 'timestampMs', e.timestamp_ms), 'erased', true)
        WHEN 'interaction' THEN '{"event": {"type": "ack"}, "source": "system", "erased": true}'::jsonb
        WHEN 'user_interaction' THEN (e.payload - 'payload') || '{"erased": true}'::jsonb
        ELSE '{"erased": true}'::jsonb END
FROM sessions s
WHERE s.user_id = 'wx:' || $1 AND e.session_id = s.session_id
  AND e.kind IN ('inbound', 'interaction', 'user_interaction', 'domain_event', 'error');

-- name: erase_traces
WITH context AS (DELETE FROM user_context_cache WHERE user_id = 'wx:' || $1),
     answer AS (DELETE FROM idempotency_keys WHERE scope = 'ingest:wx:' || $1),
     cursor AS (
         INSERT INTO wechat_cursors AS c (session_id, seq)
         SELECT session_id, seq FROM sessions WHERE user_id = 'wx:' || $1
         ON CONFLICT (session_id) DO UPDATE SET seq = greatest(c.seq, EXCLUDED.seq))
UPDATE sessions SET state = '{}' WHERE user_id = 'wx:' || $1;
