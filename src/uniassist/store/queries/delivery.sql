-- The delivery engine's statements. A worker writes only rows of shards that it has the lease of, and every
-- completion names the state and the owner that it expects. All writes go through the primary key in rising
-- order (`id = ANY`, by index: see store.delivery.create_pool), so two writers never wait for each other in a ring.
-- shard = hashtext(session_id) & 31.

-- name: heartbeat
-- :among the shards of the worker's lane, all 32 where there are no lanes; workers of other lanes have names with another
-- end than :mark, which is empty without lanes. :epoch of Redis (null: not known), :take whether to take more shards, :per_second events consumed.
-- `strays`: rows of shards kept that nobody alive answers for, of the 10,000 oldest of each kind. Those of shards just
-- taken need another statement (give_back): the snapshot of this one may be older than the last claim of their former
-- owner.
-- `unsettled`: a shard kept is settled in a newer epoch, which this worker hasn't noticed, and nothing of it is claimed.
-- `unheld`: shards without a lease that events wait in, of the 10,000 oldest.
-- A lease that ends later than one given now is from before the clock was set back. It is cut to what it can be: whoever
-- lives renews it in time, and who doesn't holds nothing up for as long as the step was. A row's lease that ends later
-- than one of :row_lease is over.
-- `set_back`: a failed row was written at a time that is still to come, of the 10,000 that wait longest. Its retry would
-- wait for as long as the step was; it is due now, which `claim` is told.
-- `dead`: who was not heard of for :silence and whose session is gone, as this server knows: nobody waits for the end of
-- their leases. It counts only where this worker's own last session is still there, and began before the other's last
-- beat: a crash of Postgres ends all of them, and who comes back first must not bury who comes later. :direct whether
-- this session is the worker's alone; a pooler's says nothing. A reused pid only makes it later.
WITH dead AS MATERIALIZED (
    SELECT worker, expires_at > now() AS counted FROM delivery_workers w
    WHERE worker <> :worker AND right(worker, length(:mark::text)) = :mark
      AND beat_at < now() - :silence::interval AND server_began = pg_postmaster_start_time()
      AND session_pid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_get_activity(w.session_pid))
      AND EXISTS (SELECT FROM delivery_workers m CROSS JOIN LATERAL pg_stat_get_activity(m.session_pid) own
                  WHERE m.worker = :worker AND m.session_pid IS NOT NULL AND own.backend_start < w.beat_at)
), me AS (
    INSERT INTO delivery_workers (worker, expires_at, consumed_per_second, beat_at, session_pid, server_began)
    VALUES (:worker, now() + :lease::interval, :per_second, now(), CASE WHEN :direct::boolean THEN pg_backend_pid() END,
            pg_postmaster_start_time())
    ON CONFLICT (worker) DO UPDATE
        SET expires_at = EXCLUDED.expires_at, consumed_per_second = EXCLUDED.consumed_per_second,
            beat_at = EXCLUDED.beat_at, session_pid = EXCLUDED.session_pid, server_began = EXCLUDED.server_began
), buried AS (
    UPDATE delivery_workers SET expires_at = now()
    WHERE worker IN (SELECT worker FROM delivery_workers WHERE worker IN (SELECT worker FROM dead WHERE counted)
                     ORDER BY worker FOR UPDATE SKIP LOCKED)
), others AS (
    SELECT count(*)::integer AS n FROM delivery_workers
    WHERE worker <> :worker AND expires_at > now() AND right(worker, length(:mark)) = :mark
      AND worker NOT IN (SELECT worker FROM dead)
), workers_cut AS (
    UPDATE delivery_workers SET expires_at = now() + :lease::interval
    WHERE worker IN (SELECT worker FROM delivery_workers WHERE worker <> :worker AND expires_at > now() + :lease::interval
                       AND worker NOT IN (SELECT worker FROM dead) ORDER BY worker FOR UPDATE SKIP LOCKED)
), shards_cut AS (
    UPDATE delivery_shards SET lease_expires_at = now() + :lease::interval
    WHERE shard IN (
        SELECT shard FROM delivery_shards
        WHERE lease_expires_at > now() + :lease::interval AND owner IS DISTINCT FROM :worker
          AND coalesce(owner, '') <> ALL (ARRAY(SELECT worker FROM dead))
        ORDER BY shard FOR NO KEY UPDATE SKIP LOCKED)
), gone AS (
    DELETE FROM delivery_workers WHERE expires_at < now() - interval '1 minute' AND worker <> :worker
), mine AS MATERIALIZED (  -- in order, as settle and rescue lock them
    SELECT shard FROM delivery_shards WHERE owner = :worker AND lease_expires_at > now()
    ORDER BY shard FOR NO KEY UPDATE
), kept AS (
    UPDATE delivery_shards SET lease_expires_at = now() + :lease::interval
    WHERE shard IN (SELECT shard FROM mine) AND owner = :worker AND lease_expires_at > now()
    RETURNING shard, token, epoch
), taken AS (
    UPDATE delivery_shards SET owner = :worker, token = token + 1, lease_expires_at = now() + :lease::interval
    WHERE shard IN (
        SELECT shard FROM delivery_shards
        WHERE (lease_expires_at <= now() OR owner IN (SELECT worker FROM dead))
          AND :take AND shard = ANY (:among::integer[])
        ORDER BY shard
        LIMIT greatest(0, ceil(cardinality(:among)::numeric / (1 + (SELECT n FROM others)))::integer
                          - (SELECT count(*) FROM kept))
        FOR UPDATE SKIP LOCKED)
    RETURNING shard, token
), lapsed AS MATERIALIZED (
    SELECT shard FROM delivery_shards
    WHERE lease_expires_at <= now() AND shard = ANY (:among) AND shard NOT IN (SELECT shard FROM taken)
), oldest AS MATERIALIZED (  -- looked at only while a shard has no lease, whatever plan is made of it
    (SELECT hashtext(session_id) & 31 AS shard FROM outbox_events
     WHERE status = 'pending' AND (SELECT count(*) FROM lapsed) > 0 ORDER BY id LIMIT 10000)
    UNION ALL
    (SELECT hashtext(session_id) & 31 FROM outbox_events
     WHERE status = 'failed' AND next_retry_at <= now() AND (SELECT count(*) FROM lapsed) > 0
     ORDER BY next_retry_at LIMIT 10000)
)
SELECT ARRAY(SELECT worker FROM dead WHERE counted ORDER BY worker) AS dead,
       ARRAY(SELECT ARRAY[shard, token] FROM kept ORDER BY shard) AS kept,
       ARRAY(SELECT ARRAY[shard, token] FROM taken ORDER BY shard) AS taken,
       (SELECT n FROM others) AS others,
       ARRAY(SELECT shard FROM lapsed WHERE shard IN (SELECT shard FROM oldest) ORDER BY shard) AS unheld,
       (SELECT paused_at IS NOT NULL FROM delivery_control) AS paused,
       :epoch::text IS NOT NULL AND EXISTS (SELECT FROM kept WHERE epoch IS DISTINCT FROM :epoch) AS unsettled,
       EXISTS (SELECT FROM outbox_events WHERE status = 'pending') AS pending,
       EXISTS (SELECT FROM outbox_events WHERE status = 'failed' AND next_retry_at <= now()) AS due,
       EXISTS (SELECT FROM (SELECT session_id, updated_at FROM outbox_events
                            WHERE status = 'failed' AND next_retry_at > now()
                            ORDER BY next_retry_at DESC LIMIT 10000) f
               WHERE updated_at > now() AND (hashtext(session_id) & 31) IN (SELECT shard FROM kept)) AS set_back,
       EXISTS (SELECT FROM (SELECT session_id FROM outbox_events
                            WHERE status = 'processing'
                              AND (locked_by IS DISTINCT FROM :worker
                                   OR lease_expires_at NOT BETWEEN now() AND now() + :row_lease::interval)
                            ORDER BY id LIMIT 10000) s
               WHERE (hashtext(session_id) & 31) IN (SELECT shard FROM kept))
       OR :epoch::text IS NOT NULL AND EXISTS (
           SELECT FROM ((SELECT session_id FROM outbox_events
                         WHERE status = 'delivered' AND epoch < :epoch ORDER BY epoch, id LIMIT 10000)
                        UNION ALL
                        (SELECT session_id FROM outbox_events
                         WHERE status = 'delivered' AND epoch > :epoch ORDER BY epoch, id LIMIT 10000)
                        UNION ALL
                        (SELECT session_id FROM outbox_events
                         WHERE status = 'delivered' AND epoch IS NULL ORDER BY id LIMIT 10000)) s
           WHERE (hashtext(session_id) & 31) IN (SELECT shard FROM kept)) AS strays;

-- name: leave
-- Give back shards, all when :shards is null; the last one out leaves nothing behind.
WITH given AS (
    UPDATE delivery_shards SET owner = NULL, lease_expires_at = 'epoch'
    WHERE owner = :worker AND (:shards::integer[] IS NULL OR shard = ANY (:shards)) RETURNING shard
), gone AS (
    DELETE FROM delivery_workers WHERE worker = :worker AND :shards::integer[] IS NULL
)
SELECT count(*) FROM given;

-- name: claim
-- :tokens those of :shards, in the same order, :epoch the one of Redis that the rows are claimed for.
-- A failed event holds back what comes after it in its session: asked of the index for each row, which stays the plan
-- whatever the statistics were when it was made. The shards' rows are locked: nobody takes a shard over, or fences
-- it, while a claim of it is not committed. Only of shards that are settled in the same epoch: a worker that missed the
-- last one would put rows back into an epoch that ended, where what was published then confirms them.
-- No more than fit into :room bytes are taken, but one always: by what they take on the disk first, which costs nothing
-- to know, then by their text. A text above :longest bytes isn't brought, only its length. :room null: no text is
-- read at all, for one that can't be read would fail them all.
-- :only further rows by id (with :limit 0: these alone). :aside those that take no write, as was seen before: they are
-- passed over, as dead letters are. :look: what would be taken is only named, by id and session, and no row is written.
-- :set_back: what failed at a time that is still to come is due as well, of the 10,000 that wait longest.
WITH mine AS MATERIALIZED (
    SELECT shard FROM delivery_shards
    WHERE owner = :worker AND lease_expires_at > now() AND shard = ANY (:shards::integer[])
      AND token = (:tokens::bigint[])[array_position(:shards::integer[], shard)] AND epoch = :epoch
    FOR KEY SHARE
), waiting AS MATERIALIZED (
    SELECT o.id FROM outbox_events o
    WHERE o.status = 'pending' AND (hashtext(o.session_id) & 31) = ANY (ARRAY(SELECT shard FROM mine))
      AND o.id <> ALL (:aside::bigint[])
      AND coalesce((SELECT f.id FROM outbox_events f WHERE f.status = 'failed' AND f.session_id = o.session_id
                      AND f.id <> ALL (:aside) ORDER BY f.id LIMIT 1) >= o.id, true)
    ORDER BY o.id LIMIT :limit
), due AS MATERIALIZED (
    SELECT o.id FROM outbox_events o
    WHERE o.status = 'failed' AND o.next_retry_at <= now()
      AND (hashtext(o.session_id) & 31) = ANY (ARRAY(SELECT shard FROM mine)) AND o.id <> ALL (:aside)
      AND coalesce((SELECT f.id FROM outbox_events f WHERE f.status = 'failed' AND f.session_id = o.session_id
                      AND f.id <> ALL (:aside) ORDER BY f.id LIMIT 1) >= o.id, true)
    ORDER BY o.next_retry_at LIMIT :limit
), early AS MATERIALIZED (
    SELECT o.id FROM (
        SELECT id, session_id, updated_at FROM outbox_events
        WHERE :set_back::boolean AND status = 'failed' AND next_retry_at > now()
        ORDER BY next_retry_at DESC LIMIT 10000) o
    WHERE o.updated_at > now()
      AND (hashtext(o.session_id) & 31) = ANY (ARRAY(SELECT shard FROM mine)) AND o.id <> ALL (:aside)
      AND coalesce((SELECT f.id FROM outbox_events f WHERE f.status = 'failed' AND f.session_id = o.session_id
                      AND f.id <> ALL (:aside) ORDER BY f.id LIMIT 1) >= o.id, true)
    ORDER BY o.id LIMIT :limit
), chosen AS (
    (SELECT id FROM (SELECT id FROM waiting UNION ALL SELECT id FROM due UNION ALL SELECT id FROM early) AS of_all_kinds
     ORDER BY id LIMIT :limit)
    UNION ALL
    SELECT unnest(:only::bigint[])
), weighed AS MATERIALIZED (
    SELECT o.id, o.session_id, o.payload IS NOT NULL AS bare, coalesce(o.payload, t.payload) AS body,
           coalesce(pg_column_size(coalesce(o.payload, t.payload)), 0) AS size,
           t.trace_id, t.user_id, t.provider_id, t.run_id, t.seq, t.timestamp_ms, t.kind, t.extension_kind,
           t.render_schema_ref
    FROM outbox_events o LEFT JOIN timeline_events t ON o.payload IS NULL AND t.event_id = o.event_id
    WHERE o.id = ANY (ARRAY(SELECT id FROM chosen))
), read AS MATERIALIZED (
    SELECT w.*, CASE WHEN :room::bigint IS NOT NULL THEN w.body::text END AS words
    FROM (SELECT *, sum(size) OVER (ORDER BY id) - size AS before FROM weighed) w
    WHERE before <= coalesce(:room, :longest::bigint)
), measured AS MATERIALIZED (
    SELECT *, octet_length(words) AS bytes,
           sum(coalesce(octet_length(words), 0)) OVER (ORDER BY id) - coalesce(octet_length(words), 0) AS words_before
    FROM read
), claimed AS (
    UPDATE outbox_events SET status = 'processing', locked_by = :worker, locked_at = now(),
        lease_expires_at = now() + :lease::interval, epoch = :epoch, updated_at = now()
    WHERE id = ANY (ARRAY(SELECT id FROM measured WHERE words_before <= coalesce(:room, 0) AND NOT :look::boolean))
      AND status IN ('pending', 'failed') AND (hashtext(session_id) & 31) = ANY (ARRAY(SELECT shard FROM mine))
    RETURNING id, event_id, session_id, attempts, replay_token, traceparent
)
SELECT c.id, c.event_id, c.session_id, CASE WHEN m.bytes <= :longest THEN m.words END AS body, m.bytes, m.bare,
       c.attempts, c.replay_token, c.traceparent, m.trace_id, m.user_id, m.provider_id, m.run_id, m.seq,
       m.timestamp_ms, m.kind, m.extension_kind, m.render_schema_ref
FROM claimed c JOIN measured m USING (id)
UNION ALL
SELECT id, '', session_id, NULL, NULL, bare, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM measured WHERE :look;

-- name: bodies
-- Of rows that were claimed without them.
SELECT o.id, octet_length(b.words) AS bytes, CASE WHEN octet_length(b.words) <= :longest THEN b.words END AS body
FROM outbox_events o LEFT JOIN timeline_events t ON o.payload IS NULL AND t.event_id = o.event_id
CROSS JOIN LATERAL (SELECT coalesce(o.payload, t.payload)::text AS words OFFSET 0) b
WHERE o.id = ANY (:ids::bigint[]);

-- name: release
-- Back to pending at no cost: it was the way that failed, or the worker stops.
UPDATE outbox_events SET status = 'pending', locked_by = NULL, locked_at = NULL, lease_expires_at = NULL,
    updated_at = now()
WHERE id = ANY (:ids::bigint[]) AND status = 'processing' AND locked_by = :worker;

-- name: deliver
-- On both streams, not confirmed yet. Only what was claimed for the same epoch: a deliver that arrives late must not
-- take a row that was claimed anew, to be published again, for one that is published.
UPDATE outbox_events SET status = 'delivered', delivered_at = now(), locked_by = NULL, locked_at = NULL,
    lease_expires_at = NULL, updated_at = now()
WHERE id = ANY (:ids::bigint[]) AND status = 'processing' AND locked_by = :worker AND epoch = :epoch;

-- name: ids_of
SELECT event_id, id FROM outbox_events WHERE event_id = ANY (:event_ids::text[]) ORDER BY id;

-- name: consume
-- Seen by the group in :epoch, so it is on the streams of that epoch, whoever published it. Only a row that is on its
-- way in that same epoch: settling takes every row out of an epoch that ended, and from then on a confirmation that is
-- late finds none. Workers before 0004 put no epoch on the entry (''), and one with a colon on the row.
WITH done AS (
    UPDATE outbox_events SET status = 'consumed', consumed_at = clock_timestamp(), consumed_by = :consumer,
        delivered_at = coalesce(delivered_at, clock_timestamp()), locked_by = NULL, locked_at = NULL,
        lease_expires_at = NULL, updated_at = now()
    WHERE id = ANY (:ids::bigint[]) AND status IN ('processing', 'delivered')
      AND (epoch = :epoch OR :epoch = '' AND epoch LIKE '%:%')
    RETURNING CASE WHEN isfinite(created_at) THEN extract(epoch FROM consumed_at - created_at)::float8 ELSE 0 END AS seconds
)
SELECT width_bucket(seconds, :bounds::float8[]) AS bucket, count(*) AS events, sum(seconds) AS seconds
FROM done GROUP BY 1;

-- name: fail
-- One attempt spent on each. :epochs null for a row that is claimed; else the one that the row was seen on the streams
-- in, where confirming it failed, and the fence is consume's.
-- Synchronous: a dead letter lets its session go on, which a crash must not undo once successors are published.
WITH durable AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'on', true) = 'on' AS yes
)
UPDATE outbox_events o SET attempts = least(o.attempts::bigint + 1, 2147483647)::integer, last_error = f.error,
    status = CASE WHEN o.attempts::bigint + 1 >= o.max_attempts THEN 'dead_letter' ELSE 'failed' END,
    next_retry_at = now() + f.delay_ms * interval '1 millisecond', locked_by = NULL, locked_at = NULL,
    lease_expires_at = NULL, updated_at = now()
FROM unnest(:ids::bigint[], :errors::text[], :delays_ms::bigint[], :epochs::text[]) AS f (id, error, delay_ms, epoch)
WHERE o.id = f.id AND (SELECT yes FROM durable)
  AND (f.epoch IS NULL AND o.status = 'processing' AND o.locked_by = :worker
       OR o.status IN ('processing', 'delivered') AND o.epoch = f.epoch)
RETURNING o.event_id, o.status, o.attempts;

-- name: bury
-- The last resort for one row that `fail` can't write: of all indexes of a state, dead_letter's has only the id.
WITH durable AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'on', true) = 'on' AS yes
)
UPDATE outbox_events SET status = 'dead_letter', last_error = :reason, locked_by = NULL, locked_at = NULL,
    lease_expires_at = NULL, updated_at = now()
WHERE id = :id AND (SELECT yes FROM durable)
  AND (:epoch::text IS NULL AND status = 'processing' AND locked_by = :worker
       OR status IN ('processing', 'delivered') AND epoch = :epoch)
RETURNING event_id;

-- name: fence
-- Before settling: claims under way are waited for, and those that still come are under an old token.
UPDATE delivery_shards SET token = token + 1
WHERE shard IN (SELECT shard FROM delivery_shards WHERE owner = :worker AND lease_expires_at > now()
                ORDER BY shard FOR UPDATE)
RETURNING shard, token;

-- name: last_epoch
-- Of those that anyone settled in, of the lane that has the shards :among.
SELECT max(epoch) FROM delivery_shards WHERE shard = ANY (:among::integer[]);

-- name: backlog
-- Bounded by design: beyond :up_to rows of a state it says only "that many or more".
SELECT (SELECT count(*) FROM (SELECT FROM outbox_events WHERE status = 'pending' LIMIT :up_to) p) AS pending,
       (SELECT count(*) FROM (SELECT FROM outbox_events WHERE status = 'processing' LIMIT :up_to) p) AS processing,
       (SELECT count(*) FROM (SELECT FROM outbox_events WHERE status = 'failed' LIMIT :up_to) p) AS failed,
       (SELECT count(*) FROM (SELECT FROM outbox_events WHERE status = 'delivered' LIMIT :up_to) p) AS delivered,
       (SELECT count(*) FROM (SELECT FROM outbox_events WHERE status = 'dead_letter' LIMIT :up_to) p) AS dead_letter,
       (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM
            (SELECT created_at FROM outbox_events WHERE status = 'pending' AND isfinite(created_at) ORDER BY id LIMIT 1) p) AS oldest_seconds;

-- name: prune
-- A slice of the table in id order, consumed rows older than the retention deleted from it. Returns where to go on;
-- null: all of the slice are too young, begin anew next time.
WITH slice AS (
    SELECT id, status = 'consumed' AND consumed_at < now() - :older_than::interval AS old,
           created_at > now() - :older_than::interval AS young
    FROM outbox_events WHERE id > :after_id ORDER BY id LIMIT :limit
), deleted AS (
    DELETE FROM outbox_events WHERE id = ANY (ARRAY(SELECT id FROM slice WHERE old)) AND status = 'consumed'
    RETURNING id
)
SELECT (SELECT count(*) FROM deleted) AS deleted,
       CASE WHEN count(*) < :limit OR bool_and(young) THEN NULL ELSE max(id) END AS next FROM slice;

-- name: pause
UPDATE delivery_control SET paused_at = coalesce(paused_at, now()), paused_by = :who, reason = :reason;

-- name: resume
UPDATE delivery_control SET paused_at = NULL, paused_by = NULL, reason = NULL;

-- name: control
SELECT paused_at, paused_by, reason FROM delivery_control;
