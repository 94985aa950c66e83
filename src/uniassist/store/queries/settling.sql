-- Rows that were under way and are nobody's any more, or of an epoch that ended. The rules of delivery.sql hold.

-- name: give_back
-- One slice: at most :limit rows are looked at, however many there are, so that it fits any timeout. :stage
-- 'processing' or 'delivered' goes on after the row (:after_epoch, :after), where the slice before it ended; 'given'
-- takes :ids. :look: only says which rows it would try. :aside: those that take no write, as was seen before.
-- :why it may move a row:
--   settle   in processing and held by :worker, or delivered in another epoch than :epoch
--   rescue   in processing, of a worker that is gone or late, or of this one, which forgot it (Postgres lost its last
--            commits in a crash); or delivered in another epoch
--   overdue  delivered, and its entry is gone
--   claim    it waits, and refused to be claimed
-- All but the rows held are of :shards, as far as they are :worker's at this moment; they are locked as a claim locks
-- them: nobody takes one over while the slice isn't committed.
-- Rows go back to pending or, with a :reason, are failed, or dead letters where that was the last attempt or :for_good.
-- All that this statement saw is durable with it, though the worker's other commits aren't: a crash that undid a
-- confirmation behind its back would bring the event after its successors. So it commits synchronously and always
-- writes (the shards' rows), for a commit that wrote nothing flushes nothing. And it is one statement, which holds no
-- lock when its worker stops in between.
WITH durable AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'on', true) = 'on' AS yes
), mine AS MATERIALIZED (
    SELECT shard FROM delivery_shards WHERE shard = ANY (:shards::integer[]) AND owner = :worker
    ORDER BY shard FOR KEY SHARE
), examined AS MATERIALIZED (
    SELECT epoch, id FROM (
        (SELECT NULL AS epoch, id FROM outbox_events
         WHERE :stage = 'processing' AND status = 'processing' AND id > :after ORDER BY id LIMIT :limit)
        UNION ALL
        (SELECT epoch, id FROM outbox_events
         WHERE :stage = 'delivered' AND status = 'delivered' AND epoch < :epoch
           AND (epoch, id) > (:after_epoch::text, :after) ORDER BY epoch, id LIMIT :limit)
        UNION ALL
        (SELECT epoch, id FROM outbox_events
         WHERE :stage = 'delivered' AND status = 'delivered' AND epoch > :epoch
           AND (epoch, id) > (:after_epoch, :after) ORDER BY epoch, id LIMIT :limit)
        UNION ALL
        (SELECT epoch, id FROM outbox_events
         WHERE :stage = 'delivered' AND status = 'delivered' AND epoch IS NULL
           AND (:after_epoch IS NOT NULL OR id > :after) ORDER BY id LIMIT :limit)
        UNION ALL
        SELECT NULL, id FROM unnest(:ids::bigint[]) AS given (id) WHERE :stage = 'given'
    ) AS found ORDER BY epoch, id LIMIT :limit
), returned AS (
    UPDATE outbox_events SET
        status = CASE WHEN :reason::text IS NULL THEN 'pending'
                      WHEN :for_good::boolean OR attempts::bigint + 1 >= max_attempts THEN 'dead_letter'
                      ELSE 'failed' END,
        attempts = CASE WHEN :reason IS NULL OR :for_good THEN attempts
                        ELSE least(attempts::bigint + 1, 2147483647)::integer END,
        last_error = coalesce(:reason, last_error),
        next_retry_at = CASE WHEN :reason IS NULL OR :for_good THEN next_retry_at
                             ELSE now() + :delay_ms::bigint * interval '1 millisecond' END,
        delivered_at = NULL, locked_by = NULL, locked_at = NULL, lease_expires_at = NULL, updated_at = now()
    WHERE id = ANY (ARRAY(SELECT id FROM examined WHERE NOT :look::boolean AND id <> ALL (:aside::bigint[]) ORDER BY id))
      AND (SELECT yes FROM durable)
      AND CASE :why::text
          WHEN 'settle' THEN status = 'processing' AND locked_by = :worker
                             OR status = 'delivered' AND epoch IS DISTINCT FROM :epoch
                                AND (hashtext(session_id) & 31) IN (SELECT shard FROM mine)
          WHEN 'rescue' THEN (status = 'processing'
                              AND (locked_by IS DISTINCT FROM :worker
                                   OR lease_expires_at NOT BETWEEN now() AND now() + :row_lease::interval)
                              OR status = 'delivered' AND :epoch IS NOT NULL AND epoch IS DISTINCT FROM :epoch)
                             AND (hashtext(session_id) & 31) IN (SELECT shard FROM mine)
          WHEN 'overdue' THEN status = 'delivered' AND (hashtext(session_id) & 31) IN (SELECT shard FROM mine)
          WHEN 'claim' THEN status IN ('pending', 'failed') AND (hashtext(session_id) & 31) IN (SELECT shard FROM mine)
          END
    RETURNING event_id, status, attempts
), counted AS MATERIALIZED (
    SELECT count(*) AS moved, max(event_id) AS event_id, max(status) AS status, max(attempts) AS attempts FROM returned
), written AS (  -- after the rows, which `counted` waits for
    UPDATE delivery_shards SET settled_at = settled_at
    WHERE (SELECT yes FROM durable)
      AND shard IN (SELECT shard FROM delivery_shards
                    WHERE shard IN (SELECT shard FROM mine) AND owner = :worker
                      AND (SELECT moved FROM counted) IS NOT NULL ORDER BY shard FOR NO KEY UPDATE)
), last AS (
    SELECT epoch, id FROM examined ORDER BY epoch DESC NULLS FIRST, id DESC LIMIT 1
)
SELECT moved, event_id, status, attempts, ARRAY(SELECT id FROM examined WHERE :look) AS ids,
       (SELECT count(*) FROM examined) = :limit AS is_full,
       (SELECT epoch FROM last) AS last_epoch, (SELECT id FROM last) AS last_id
FROM counted;

-- name: settled
-- No row of :shards is in an epoch that ended any more, as far as they are :worker's: from now on they may be claimed
-- for :epoch (null: it isn't known yet). Durable with all that was given back, whether or not there was anything.
WITH durable AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'on', true) = 'on' AS yes
)
UPDATE delivery_shards SET epoch = greatest(epoch, :epoch),
    settled_at = CASE WHEN greatest(epoch, :epoch) = :epoch THEN clock_timestamp() ELSE settled_at END
WHERE shard IN (SELECT shard FROM delivery_shards WHERE shard = ANY (:shards::integer[]) AND owner = :worker
                ORDER BY shard FOR NO KEY UPDATE)
  AND (SELECT yes FROM durable);

-- name: overdue
-- Delivered long ago, or at a time that can't be, while the group has nothing left to read: their entries are gone.
SELECT id FROM outbox_events
WHERE status = 'delivered'
  AND coalesce(delivered_at NOT BETWEEN now() - :older_than::interval AND now() + :older_than, true)
  AND (hashtext(session_id) & 31) IN
      (SELECT shard FROM delivery_shards WHERE owner = :worker AND lease_expires_at > now())
ORDER BY id LIMIT :limit;
