-- adapter-wechat's own tables. What is done for a person is written only while their row is as it was when it was read.
-- Arrays come as text[], the only kind that the driver knows without asking each new connection for its types; who locks
-- many people does it by their bytes' order, as calls that share a transaction do (store.server.gathering).
-- A time that lies further ahead than it was ever set is from before the database's clock was set back: it is over.
-- left(session_id, 11), not starts_with, whose index condition reads the sessions of everybody.

-- name: receive
-- Notes a push, and what the person's act lets us do (:opens: 'message', 'event' or null). The push may be answered for
-- :hold_seconds; an answered one holds for a second more, so that nothing overtakes its answer on the way to the phone.
-- No row: the push is from before the person left, and nothing of it is noted.
WITH pushed AS (
    INSERT INTO wechat_pushes AS p (push_key, openid, held_until)
    SELECT :push_key, :openid, now() + make_interval(secs => :hold_seconds)
    WHERE NOT EXISTS (
        SELECT FROM wechat_left WHERE person = sha256(convert_to(:openid, 'UTF8')) AND left_at >= :acted_at)
    ON CONFLICT (push_key) DO UPDATE SET pushes = p.pushes + 1,
        held_until = CASE WHEN p.reply IS NULL THEN EXCLUDED.held_until
                          WHEN p.reply <> '' THEN now() + interval '1 second' END
    RETURNING pushes, decision, reply, extract(epoch FROM now() - created_at)::float8 AS age_seconds
), person AS (
    INSERT INTO wechat_people AS w (openid, message_at, event_at, due_at)
    SELECT :openid, CASE WHEN :opens = 'message' THEN least(:acted_at, now()) END,
           CASE WHEN :opens = 'event' THEN least(:acted_at, now()) END, now() + make_interval(secs => :hold_seconds)
    FROM pushed WHERE pushes = 1
    ON CONFLICT (openid) DO UPDATE SET
        message_at = coalesce(greatest(CASE WHEN w.message_at <= now() THEN w.message_at END, EXCLUDED.message_at),
                              w.message_at),
        message_sends = CASE WHEN EXCLUDED.message_at < w.message_at AND w.message_at <= now()
                                  OR EXCLUDED.message_at IS NULL
                             THEN w.message_sends ELSE 0 END,
        event_at = coalesce(greatest(CASE WHEN w.event_at <= now() THEN w.event_at END, EXCLUDED.event_at), w.event_at),
        event_sends = CASE WHEN EXCLUDED.event_at < w.event_at AND w.event_at <= now() OR EXCLUDED.event_at IS NULL
                           THEN w.event_sends ELSE 0 END,
        due_at = least(w.due_at, EXCLUDED.due_at),
        failures = 0
    RETURNING openid, xmax = 0 AS is_new
), begun AS (
    -- What was said before we knew them isn't said now.
    INSERT INTO wechat_cursors AS c (session_id, seq)
    SELECT session_id, seq FROM sessions
    WHERE user_id = 'wx:' || :openid AND EXISTS (SELECT FROM person WHERE is_new)
    ON CONFLICT (session_id) DO UPDATE SET seq = greatest(c.seq, EXCLUDED.seq)
), resumed AS (
    UPDATE wechat_replies SET state = 'waiting', updated_at = now()
    WHERE openid = :openid AND state = 'parked' AND :opens IS NOT NULL AND EXISTS (SELECT FROM person)
)
SELECT :openid::text AS openid, pushes, decision, reply, age_seconds,
       EXISTS (SELECT FROM wechat_people WHERE openid = :openid AND menu IS NOT NULL) AS has_menu,
       (SELECT state->>'locale' FROM sessions WHERE user_id = 'wx:' || :openid AND signed
        ORDER BY created_at DESC LIMIT 1) AS locale
FROM pushed;

-- name: snapshot
-- A person, one of their pushes (:push_key may be null), what is new on their timelines (at most :max_events) and what is
-- open (at most :max_replies), all of one moment. `version` changes with every change of the person's row, by anyone;
-- `acted` changes when the person acts.
SELECT p.xmin::text AS version, concat_ws(' ', p.message_at, p.event_at) AS acted, p.openid,
       extract(epoch FROM now() - p.message_at)::float8 AS message_age, p.message_sends,
       extract(epoch FROM now() - p.event_at)::float8 AS event_age, p.event_sends, p.menu, p.replies, p.failures,
       p.lease_owner, p.lease_expires_at > now() IS TRUE AS is_leased,
       h.pushes, h.decision, h.reply, extract(epoch FROM now() - h.created_at)::float8 AS age_seconds,
       p.menu IS NOT NULL AS has_menu,
       (SELECT state->>'locale' FROM sessions WHERE user_id = 'wx:' || :openid AND signed
        ORDER BY created_at DESC LIMIT 1) AS locale,
       CASE WHEN :push_key::text IS NULL THEN (
           SELECT extract(epoch FROM max(held_until) - now())::float8 FROM wechat_pushes
           WHERE openid = :openid AND held_until BETWEEN now() AND now() + interval '10 seconds') END AS held_seconds,
       (SELECT json_agg(json_build_array(event_id, trace_id, session_id, run_id, provider_id, seq, payload, kind)
                        ORDER BY created_at, session_id, seq) FROM (
           SELECT e.*, s.created_at FROM sessions s
           LEFT JOIN wechat_cursors c ON c.session_id = s.session_id
           JOIN LATERAL (
               SELECT t.event_id, t.trace_id, t.session_id, t.run_id, t.provider_id, t.seq, t.kind,
                      CASE WHEN t.kind IN ('interaction', 'domain_event') THEN t.payload::text END AS payload
               FROM timeline_events t WHERE t.session_id = s.session_id AND t.seq > coalesce(c.seq, 0)
               ORDER BY t.seq LIMIT :max_events
           ) e ON true
           WHERE s.user_id = 'wx:' || :openid AND s.signed AND left(s.session_id, 11) = 'wx-session:'
             AND s.seq > coalesce(c.seq, 0)
           ORDER BY s.created_at, s.session_id, e.seq LIMIT :max_events) new) AS new_events,
       (SELECT json_agg(json_build_array(event_id, position, session_id, trace_id, run_id, text, pieces, in_flight,
                                         choices::text, state) ORDER BY position) FROM (
           SELECT * FROM wechat_replies WHERE openid = :openid AND state IN ('waiting', 'sending', 'parked')
           ORDER BY position LIMIT :max_replies) r) AS open_replies
FROM wechat_people p LEFT JOIN wechat_pushes h ON h.push_key = :push_key WHERE p.openid = :openid;

-- name: write_changes
-- Everything that was decided on one snapshot of a person: the person, their replies (new or changed), cursors, reports
-- and one push. Nothing is written unless the person's row still has :version. Answers whether it had.
WITH person AS (
    UPDATE wechat_people SET message_sends = :message_sends, event_sends = :event_sends, menu = :menu::jsonb,
        replies = :last_position, failures = :failures,
        message_at = CASE WHEN :closes_window THEN NULL ELSE message_at END,
        due_at = CASE WHEN :changes_due THEN now() + make_interval(secs => :due_in_seconds::float8) ELSE due_at END,
        lease_owner = CASE WHEN :ends_lease THEN NULL ELSE lease_owner END,
        lease_expires_at = CASE WHEN :ends_lease THEN NULL
                                WHEN lease_owner = :lease_owner THEN now() + make_interval(secs => :lease_seconds)
                                ELSE lease_expires_at END
    WHERE openid = :openid AND xmin = :version::text::xid RETURNING openid
), reply AS (
    INSERT INTO wechat_replies AS r (openid, event_id, position, session_id, trace_id, run_id, text, pieces, in_flight,
                                     choices, state)
    SELECT :openid, * FROM unnest(
        :reply_event_ids::text[], :reply_positions::text[]::bigint[], :reply_session_ids::text[], :reply_trace_ids::text[],
        :reply_run_ids::text[], :reply_texts::text[], :reply_pieces::text[]::integer[], :reply_in_flight::text[]::integer[],
        :reply_choices::text[]::jsonb[], :reply_states::text[])
    WHERE EXISTS (SELECT FROM person)
    ON CONFLICT (event_id) DO UPDATE SET text = EXCLUDED.text, pieces = EXCLUDED.pieces,
        in_flight = EXCLUDED.in_flight, state = EXCLUDED.state, updated_at = now()
), cursor AS (
    INSERT INTO wechat_cursors AS c (session_id, seq)
    SELECT * FROM unnest(:cursor_session_ids::text[], :cursor_seqs::text[]::bigint[])
    WHERE EXISTS (SELECT FROM person)
    ON CONFLICT (session_id) DO UPDATE SET seq = greatest(c.seq, EXCLUDED.seq)
), report AS (
    INSERT INTO wechat_reports (openid, session_id, trace_id, run_id, event_ids, outcome, detail)
    SELECT :openid, session_id, trace_id, run_id, string_to_array(event_ids, E'\n'), outcome, detail
    FROM unnest(:report_session_ids::text[], :report_trace_ids::text[], :report_run_ids::text[],
                :report_event_ids::text[], :report_outcomes::text[], :report_details::text[])
        AS r (session_id, trace_id, run_id, event_ids, outcome, detail)
    WHERE EXISTS (SELECT FROM person)
), push AS (
    UPDATE wechat_pushes SET decision = coalesce(:decision::jsonb, decision), reply = coalesce(:push_reply, reply),
        held_until = CASE WHEN :push_reply IS NULL THEN held_until
                          WHEN :push_reply <> '' THEN now() + interval '1 second' END
    WHERE push_key = :push_key AND EXISTS (SELECT FROM person)
)
SELECT :openid::text AS openid, count(*) = 1 AS is_written FROM person;

-- name: let_go
-- A push that ends in silence: nothing more is shown through it, and the sender may go on. The person is locked before
-- the push, as in write_changes.
WITH person AS (
    SELECT openid FROM wechat_people
    WHERE openid = (SELECT openid FROM wechat_pushes WHERE push_key = :push_key) FOR UPDATE
), pushed AS (
    UPDATE wechat_pushes SET reply = coalesce(reply, ''), held_until = NULL
    WHERE push_key = :push_key AND EXISTS (SELECT FROM person) RETURNING openid
)
UPDATE wechat_people SET due_at = least(due_at, now()) WHERE openid = (SELECT openid FROM pushed);

-- name: answered
-- Whether the timeline has an answer to this trace that isn't among the replies yet, or waits among them.
SELECT EXISTS (
    SELECT FROM wechat_replies WHERE openid = :openid AND trace_id = :trace_id AND state IN ('waiting', 'sending')
) OR EXISTS (
    SELECT FROM sessions s LEFT JOIN wechat_cursors c ON c.session_id = s.session_id
    JOIN timeline_events t ON t.session_id = s.session_id AND t.seq > coalesce(c.seq, 0)
    WHERE s.user_id = 'wx:' || :openid AND s.signed AND s.seq > coalesce(c.seq, 0)
      AND t.kind = 'interaction' AND t.trace_id = :trace_id
);

-- name: interacted
-- Whether this trace's interaction is on the timeline already, among the last events of the person's sessions.
SELECT EXISTS (
    SELECT FROM sessions s JOIN timeline_events t ON t.session_id = s.session_id AND t.seq > s.seq - 500
    WHERE s.user_id = 'wx:' || :openid AND t.kind = 'user_interaction' AND t.trace_id = :trace_id
);

-- name: mark_due
-- People to whom one of these events has something to say.
WITH found AS (
    SELECT DISTINCT substr(e.user_id, 4) AS openid FROM timeline_events e
    WHERE e.event_id = ANY (:event_ids::text[]) AND e.kind IN ('interaction', 'domain_event')
      AND starts_with(e.session_id, 'wx-session:') AND starts_with(e.user_id, 'wx:')
      AND NOT EXISTS (SELECT FROM wechat_replies r WHERE r.event_id = e.event_id)
), locked AS (
    SELECT openid FROM wechat_people WHERE openid IN (SELECT openid FROM found) ORDER BY openid COLLATE "C" FOR UPDATE
)
UPDATE wechat_people p SET due_at = CASE WHEN failures > 0 THEN coalesce(due_at, now()) ELSE now() END
FROM locked WHERE p.openid = locked.openid;

-- name: sweep
-- As mark_due, without a stream that says whose turn it is: people who may be written to and have something unsaid. And
-- those whose pause is longer than any, :longest after failures, :account_longest of the account.
WITH unsaid AS (
    SELECT p.openid FROM wechat_people p
    WHERE (p.due_at IS NULL OR p.due_at > now()) AND p.failures = 0 AND p.message_at > now() - interval '49 hours'
      AND EXISTS (
        SELECT FROM sessions s LEFT JOIN wechat_cursors c ON c.session_id = s.session_id
        JOIN timeline_events t ON t.session_id = s.session_id AND t.seq > coalesce(c.seq, 0)
        WHERE s.user_id = 'wx:' || p.openid AND s.signed AND s.seq > coalesce(c.seq, 0)
          AND left(s.session_id, 11) = 'wx-session:' AND t.kind IN ('interaction', 'domain_event'))
), locked AS (
    SELECT openid FROM wechat_people
    WHERE openid IN (SELECT openid FROM unsaid UNION ALL
                     SELECT openid FROM wechat_people
                     WHERE due_at > now() + CASE WHEN failures > 0 THEN :longest::interval
                                                 ELSE :account_longest::interval END)
    ORDER BY openid COLLATE "C" FOR UPDATE
)
UPDATE wechat_people p SET due_at = now() FROM locked WHERE p.openid = locked.openid;

-- name: claim_due
-- :served: people whom the owner serves already, whose leases may have run out.
-- A lease that ends later than one given now is from before the clock was set back, and cut to what it can be.
WITH cut AS (
    UPDATE wechat_people SET lease_expires_at = now() + make_interval(secs => :lease_seconds)
    WHERE openid IN (
        SELECT openid FROM wechat_people
        WHERE due_at <= now() AND lease_expires_at > now() + make_interval(secs => :lease_seconds)
        ORDER BY openid LIMIT 1000 FOR UPDATE SKIP LOCKED)
)
UPDATE wechat_people SET lease_owner = :owner, lease_expires_at = now() + make_interval(secs => :lease_seconds)
WHERE openid IN (
    SELECT openid FROM wechat_people p
    WHERE due_at <= now() AND (lease_expires_at IS NULL OR lease_expires_at < now()) AND openid <> ALL (:served::text[])
      AND NOT EXISTS (SELECT FROM wechat_pushes h WHERE h.openid = p.openid
                        AND h.held_until BETWEEN now() AND now() + interval '10 seconds')
    ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING openid;

-- name: renew_leases
-- A person whose row is locked waits for the next renewal, so that the others' leases don't wait for it.
UPDATE wechat_people SET lease_expires_at = now() + make_interval(secs => :lease_seconds)
WHERE openid IN (SELECT openid FROM wechat_people WHERE openid = ANY (:openids::text[]) AND lease_owner = :owner
                 FOR UPDATE SKIP LOCKED);

-- name: give_up_lease
UPDATE wechat_people SET lease_owner = NULL, lease_expires_at = NULL,
    due_at = now() + make_interval(secs => :due_in_seconds)
WHERE openid = :openid AND lease_owner = :owner;

-- name: reports
SELECT id, openid, session_id, trace_id, run_id, event_ids, outcome, detail,
       (extract(epoch FROM created_at) * 1000)::bigint AS timestamp_ms
FROM wechat_reports ORDER BY id LIMIT :limit;

-- name: forget_reports
DELETE FROM wechat_reports WHERE id = ANY (:ids::text[]::bigint[]) RETURNING id;

-- name: backlog
SELECT state, count(*) AS replies FROM wechat_replies WHERE state IN ('waiting', 'sending', 'parked') GROUP BY state;

-- name: prune
WITH push AS (
    DELETE FROM wechat_pushes WHERE push_key IN
        (SELECT push_key FROM wechat_pushes WHERE created_at < now() - interval '2 days' ORDER BY created_at LIMIT :limit)
), gone AS (
    DELETE FROM wechat_left WHERE left_at < now() - interval '2 days'
), reply AS (
    DELETE FROM wechat_replies WHERE event_id IN
        (SELECT event_id FROM wechat_replies
         WHERE updated_at < now() - interval '30 days'
            OR (updated_at < now() - interval '7 days' AND state IN ('sent', 'refused', 'unknown'))
         ORDER BY updated_at LIMIT :limit)
)
SELECT 1;

-- name: leave
-- A person left, by the platform's clock, which may be off ours. No row: they left before, or have done something since
-- and this comes late.
WITH person AS (SELECT message_at, event_at FROM wechat_people WHERE openid = :openid FOR UPDATE)
INSERT INTO wechat_left AS l (person, left_at)
SELECT sha256(convert_to(:openid, 'UTF8')), least(:left_at, now() + interval '5 minutes')
WHERE NOT EXISTS (SELECT FROM person WHERE date_trunc('second', greatest(message_at, event_at)) > :left_at)
ON CONFLICT (person) DO UPDATE SET left_at = EXCLUDED.left_at WHERE EXCLUDED.left_at > l.left_at
RETURNING left_at;

-- name: erase_person
-- The names of media stay until their files are removed.
WITH reply AS (DELETE FROM wechat_replies WHERE openid = :openid),
     push AS (DELETE FROM wechat_pushes WHERE openid = :openid),
     report AS (DELETE FROM wechat_reports WHERE openid = :openid),
     person AS (DELETE FROM wechat_people WHERE openid = :openid),
     medium AS (DELETE FROM wechat_media WHERE openid = :openid RETURNING name)
INSERT INTO wechat_left_media (name) SELECT name FROM medium ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name
RETURNING name;

-- name: skip_erased
-- No reply is made of what was emptied.
INSERT INTO wechat_cursors AS c (session_id, seq)
SELECT session_id, seq FROM sessions WHERE user_id = 'wx:' || :openid
ON CONFLICT (session_id) DO UPDATE SET seq = greatest(c.seq, EXCLUDED.seq);
