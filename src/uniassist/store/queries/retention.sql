-- name: forget_sessions
-- Of the sessions that lie in :pages pages of their table from :page on, those that nobody has used for :days go, with
-- all that hangs on them. None goes while anything of it is undelivered, owed or open, or while another session goes on
-- to it. One that is locked is in use, and one that was written to since this statement began, whose events it doesn't
-- see, stays: that is looked at anew when its lock is had. Those that are too young by their own row cost no more than
-- that row. A slice has no other condition than its pages, or an index with the time in it might be walked instead.
WITH slice AS MATERIALIZED (
    SELECT session_id, seq, created_at, last_activity_at FROM sessions
    WHERE ctid >= format('(%s,0)', :page::bigint)::tid AND ctid < format('(%s,0)', :page + :pages::bigint)::tid
), old AS (
    SELECT s.session_id FROM sessions s JOIN slice USING (session_id)
    WHERE slice.last_activity_at < now() - make_interval(days => :days)
      AND slice.created_at < now() - make_interval(days => :days) AND s.seq = slice.seq
      AND s.last_activity_at < now() - make_interval(days => :days)
      AND NOT EXISTS (SELECT FROM sessions p WHERE p.successor_id = s.session_id)
      AND NOT EXISTS (SELECT FROM provider_runs r
                      WHERE r.session_id = s.session_id
                        AND (r.status IN ('pending', 'running') OR r.updated_at > now() - make_interval(days => :days)
                             OR EXISTS (SELECT FROM provider_calls c WHERE c.run_id = r.run_id)))
      AND NOT EXISTS (SELECT FROM timeline_events e LEFT JOIN outbox_events o USING (event_id)
                      WHERE e.session_id = s.session_id
                        AND (o.status <> 'consumed' OR e.created_at > now() - make_interval(days => :days)))
      AND NOT EXISTS (SELECT FROM wechat_people w JOIN wechat_replies y USING (openid)
                      WHERE s.user_id = 'wx:' || w.openid AND y.session_id = s.session_id
                        AND y.state IN ('waiting', 'sending', 'parked'))
      AND NOT EXISTS (SELECT FROM wechat_people w JOIN wechat_reports y USING (openid)
                      WHERE s.user_id = 'wx:' || w.openid AND y.session_id = s.session_id)
    LIMIT :most FOR UPDATE OF s SKIP LOCKED
), outbox AS (
    DELETE FROM outbox_events WHERE event_id IN
        (SELECT event_id FROM timeline_events WHERE session_id IN (SELECT session_id FROM old))
), timeline AS (
    DELETE FROM timeline_events WHERE session_id IN (SELECT session_id FROM old)
), run AS (
    DELETE FROM provider_runs WHERE session_id IN (SELECT session_id FROM old)
), cursor AS (
    DELETE FROM wechat_cursors WHERE session_id IN (SELECT session_id FROM old)
), gone AS (
    DELETE FROM sessions WHERE session_id IN (SELECT session_id FROM old) RETURNING session_id
)
SELECT (SELECT count(*) FROM gone) AS deleted,
       CASE WHEN (SELECT count(*) FROM old) = :most THEN :page
            WHEN :page + :pages < pg_relation_size('sessions') / current_setting('block_size')::bigint
            THEN :page + :pages END AS next;

-- name: trim_timelines
-- In living sessions: the beginning of a timeline goes, up to the first event that is young, undelivered, or still to be
-- shown in WeChat. So what is left has no gaps. A session that is locked is in use, and comes again. No event is older
-- than its session's row, so the timelines of young sessions aren't looked at.
WITH slice AS MATERIALIZED (
    SELECT session_id, created_at FROM sessions
    WHERE ctid >= format('(%s,0)', :page::bigint)::tid AND ctid < format('(%s,0)', :page + :pages::bigint)::tid
), old AS (
    SELECT s.session_id FROM sessions s
    WHERE s.session_id IN (SELECT session_id FROM slice WHERE created_at < now() - make_interval(days => :days))
      AND EXISTS (SELECT FROM (SELECT * FROM timeline_events e WHERE e.session_id = s.session_id
                               ORDER BY seq LIMIT 1) AS first
                  WHERE created_at < now() - make_interval(days => :days)
                    AND NOT EXISTS (SELECT FROM outbox_events o
                                    WHERE o.event_id = first.event_id AND o.status <> 'consumed')
                    AND NOT EXISTS (SELECT FROM wechat_replies y WHERE y.event_id = first.event_id
                                    AND y.state IN ('waiting', 'sending', 'parked')))
    LIMIT :most FOR UPDATE OF s SKIP LOCKED
), beginning AS (
    SELECT e.session_id, e.event_id, e.seq,
           e.created_at < now() - make_interval(days => :days)
           AND NOT EXISTS (SELECT FROM outbox_events o WHERE o.event_id = e.event_id AND o.status <> 'consumed')
           AND NOT EXISTS (SELECT FROM wechat_replies y WHERE y.event_id = e.event_id
                           AND y.state IN ('waiting', 'sending', 'parked')) AS may_go
    FROM old CROSS JOIN LATERAL
        (SELECT * FROM timeline_events e WHERE e.session_id = old.session_id ORDER BY seq LIMIT :events) AS e
), gone AS (
    SELECT event_id, session_id FROM beginning b
    WHERE may_go AND NOT EXISTS (SELECT FROM beginning k
                                 WHERE k.session_id = b.session_id AND NOT k.may_go AND k.seq < b.seq)
), outbox AS (
    DELETE FROM outbox_events WHERE event_id IN (SELECT event_id FROM gone)
), timeline AS (
    DELETE FROM timeline_events WHERE event_id IN (SELECT event_id FROM gone)
)
SELECT (SELECT count(*) FROM gone) AS deleted,
       EXISTS (SELECT FROM gone GROUP BY session_id HAVING count(*) = :events)
       OR (SELECT count(*) FROM old) = :most AND EXISTS (SELECT FROM gone) AS more;

-- name: trim_runs
-- Of a slice's living sessions: runs that ended long ago. The last one of each provider stays, since it says that the
-- provider served the session.
WITH slice AS MATERIALIZED (
    SELECT session_id, created_at FROM sessions
    WHERE ctid >= format('(%s,0)', :page::bigint)::tid AND ctid < format('(%s,0)', :page + :pages::bigint)::tid
), old AS (
    SELECT run_id FROM slice JOIN provider_runs r USING (session_id)
    WHERE slice.created_at < now() - make_interval(days => :days)
      AND r.status NOT IN ('pending', 'running') AND r.updated_at < now() - make_interval(days => :days)
      AND NOT EXISTS (SELECT FROM provider_calls c WHERE c.run_id = r.run_id)
      AND EXISTS (SELECT FROM provider_runs l WHERE l.session_id = r.session_id AND l.provider_id = r.provider_id
                  AND (l.created_at, l.run_id) > (r.created_at, r.run_id))
    LIMIT :most FOR UPDATE OF r SKIP LOCKED
), gone AS (
    DELETE FROM provider_runs WHERE run_id IN (SELECT run_id FROM old) RETURNING 1
)
SELECT count(*) FROM gone;

-- name: forget_contexts
-- Expired ones are made anew when they are asked for.
WITH gone AS (
    DELETE FROM user_context_cache WHERE profile_ref IN
        (SELECT profile_ref FROM user_context_cache WHERE ttl_expires_at < now() - interval '1 day'
         ORDER BY ttl_expires_at LIMIT :limit)
    RETURNING 1
)
SELECT count(*) FROM gone;
