-- The delivery engine's statements. A worker writes only rows of shards that it has the lease of, and every
-- completion names the state and the owner that it expects. All writes go through the primary key in rising
-- order (`id = ANY`, by index: see store.delivery.create_pool), so two writers never wait for each other in a ring.
-- shard = hashtext(session_id) & 31.

-- name: beat
-- $1 worker, $2 lease, $3 Redis epoch (null: not known), $4 whether to take more shards, $5 events a second.
-- `strays`: rows of shards kept that nobody alive answers for. Those of shards just taken need a statement of their
-- own (rescue): this one's snapshot may be older than the last claim of their former owner.
WITH me AS (
    INSERT INTO delivery_workers (worker, expires_at, consumed_per_second) VALUES ($1, now() + $2::interval, $5)
    ON CONFLICT (worker) DO UPDATE
        SET expires_at = EXCLUDED.expires_at, consumed_per_second = EXCLUDED.consumed_per_second
), others AS (
    SELECT count(*)::integer AS n FROM delivery_workers WHERE worker <> $1 AND expires_at > now()
), gone AS (
    DELETE FROM delivery_workers WHERE expires_at < now() - interval '1 minute' AND worker <> $1
), kept AS (
    UPDATE delivery_shards SET lease_expires_at = now() + $2::interval
    WHERE owner = $1 AND lease_expires_at > now() RETURNING shard, token
), taken AS (
    UPDATE delivery_shards SET owner = $1, token = token + 1, lease_expires_at = now() + $2::interval
    WHERE shard IN (
        SELECT shard FROM delivery_shards WHERE lease_expires_at <= now() AND $4
        ORDER BY shard
        LIMIT greatest(0, ceil(32.0 / (1 + (SELECT n FROM others)))::integer - (SELECT count(*) FROM kept))
        FOR UPDATE SKIP LOCKED)
    RETURNING shard, token
)
SELECT ARRAY(SELECT ARRAY[shard, token] FROM kept ORDER BY shard) AS kept,
       ARRAY(SELECT ARRAY[shard, token] FROM taken ORDER BY shard) AS taken,
       (SELECT n FROM others) AS others,
       (SELECT paused_at IS NOT NULL FROM delivery_control) AS paused,
       EXISTS (SELECT FROM outbox_events WHERE status = 'pending') AS pending,
       EXISTS (SELECT FROM outbox_events WHERE status = 'failed' AND next_retry_at <= now()) AS due,
       EXISTS (SELECT FROM outbox_events
               WHERE status = 'processing' AND (locked_by IS DISTINCT FROM $1 OR lease_expires_at < now())
                 AND (hashtext(session_id) & 31) IN (SELECT shard FROM kept))
       OR $3::text IS NOT NULL AND EXISTS (
           SELECT FROM outbox_events WHERE status = 'delivered' AND (epoch < $3 OR epoch > $3 OR epoch IS NULL)
               AND (hashtext(session_id) & 31) IN (SELECT shard FROM kept)) AS strays;

-- name: rescue
-- $1 worker, $2 shards that it holds, $3 Redis epoch (null: not known). What is in processing there belongs to a
-- worker that is gone or late, or to this one, which forgot it (Postgres lost its last commits in a crash). What was
-- published in another epoch may be gone from the streams, and comes first again. Its commit is synchronous, though
-- the worker's aren't (and still one statement, which holds no lock when its worker stops in between): rows that a
-- crash made delivered once more would be overtaken by their successors.
WITH durable AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'on', true) = 'on' AS yes
), stray AS MATERIALIZED (
    SELECT id, status FROM outbox_events
    WHERE status = 'processing' AND (locked_by IS DISTINCT FROM $1 OR lease_expires_at < now())
      AND (hashtext(session_id) & 31) = ANY ($2::integer[])
    UNION ALL
    SELECT id, status FROM outbox_events
    WHERE status = 'delivered' AND (epoch < $3 OR epoch > $3 OR epoch IS NULL) AND $3::text IS NOT NULL
      AND (hashtext(session_id) & 31) = ANY ($2::integer[])
), returned AS (
    UPDATE outbox_events SET status = 'pending', delivered_at = NULL, locked_by = NULL, locked_at = NULL,
        lease_expires_at = NULL, updated_at = now()
    WHERE id = ANY (ARRAY(SELECT id FROM stray ORDER BY id)) AND (SELECT yes FROM durable)
      AND (status = 'processing' AND (locked_by IS DISTINCT FROM $1 OR lease_expires_at < now())
           OR status = 'delivered' AND epoch IS DISTINCT FROM $3)
    RETURNING id
)
SELECT count(*) FILTER (WHERE status = 'processing') AS rescued,
       count(*) FILTER (WHERE status = 'delivered') AS republished
FROM stray JOIN returned USING (id);

-- name: leave
-- Give back shards, all when $2 is null; the last one out leaves nothing behind.
WITH given AS (
    UPDATE delivery_shards SET owner = NULL, lease_expires_at = 'epoch'
    WHERE owner = $1 AND ($2::integer[] IS NULL OR shard = ANY ($2)) RETURNING shard
), gone AS (
    DELETE FROM delivery_workers WHERE worker = $1 AND $2::integer[] IS NULL
)
SELECT count(*) FROM given;

-- name: claim
-- $1 worker, $2 how many, $3 lease, $4 shards, $5 their tokens, $6 Redis epoch that they are claimed for.
-- A failed event holds back what comes after it in its session: asked of the index for each row, which stays the plan
-- whatever the statistics were when it was made. The shards' rows are locked: nobody takes a shard over, or fences
-- it, while a claim of it is not committed.
WITH mine AS MATERIALIZED (
    SELECT shard FROM delivery_shards
    WHERE owner = $1 AND lease_expires_at > now() AND shard = ANY ($4::integer[])
      AND token = ($5::bigint[])[array_position($4::integer[], shard)]
    FOR KEY SHARE
), waiting AS MATERIALIZED (
    SELECT o.id FROM outbox_events o
    WHERE o.status = 'pending' AND (hashtext(o.session_id) & 31) = ANY (ARRAY(SELECT shard FROM mine))
      AND coalesce((SELECT f.id FROM outbox_events f WHERE f.status = 'failed' AND f.session_id = o.session_id
                    ORDER BY f.id LIMIT 1) >= o.id, true)
    ORDER BY o.id LIMIT $2
), due AS MATERIALIZED (
    SELECT o.id FROM outbox_events o
    WHERE o.status = 'failed' AND o.next_retry_at <= now()
      AND (hashtext(o.session_id) & 31) = ANY (ARRAY(SELECT shard FROM mine))
      AND coalesce((SELECT f.id FROM outbox_events f WHERE f.status = 'failed' AND f.session_id = o.session_id
                    ORDER BY f.id LIMIT 1) >= o.id, true)
    ORDER BY o.next_retry_at LIMIT $2
), chosen AS (
    SELECT id FROM (SELECT id FROM waiting UNION ALL SELECT id FROM due) AS both_kinds ORDER BY id LIMIT $2
), claimed AS (
    UPDATE outbox_events SET status = 'processing', locked_by = $1, locked_at = now(),
        lease_expires_at = now() + $3::interval, epoch = $6, updated_at = now()
    WHERE id = ANY (ARRAY(SELECT id FROM chosen)) AND status IN ('pending', 'failed')
    RETURNING id, event_id, session_id, payload, attempts, replay_token, traceparent
)
SELECT c.*, t.trace_id, t.user_id, t.provider_id, t.run_id, t.seq, t.timestamp_ms, t.kind, t.extension_kind,
       t.render_schema_ref, t.payload AS event_payload
FROM claimed c LEFT JOIN timeline_events t ON c.payload IS NULL AND t.event_id = c.event_id;

-- name: release
-- Back to pending at no cost: it was the way that failed, or the worker stops.
UPDATE outbox_events SET status = 'pending', locked_by = NULL, locked_at = NULL, lease_expires_at = NULL,
    updated_at = now()
WHERE id = ANY ($2::bigint[]) AND status = 'processing' AND locked_by = $1;

-- name: deliver
-- On both streams, not confirmed yet. Only what was claimed for the same epoch: a deliver that arrives late must not
-- take a row that was claimed anew, to be published again, for one that is published.
UPDATE outbox_events SET status = 'delivered', delivered_at = now(), locked_by = NULL, locked_at = NULL,
    lease_expires_at = NULL, updated_at = now()
WHERE id = ANY ($2::bigint[]) AND status = 'processing' AND locked_by = $1 AND epoch = $3;

-- name: ids_of
SELECT id FROM outbox_events WHERE event_id = ANY ($1::text[]) ORDER BY id;

-- name: consume
-- Seen by the group, so it is on the streams, whoever published it and whatever the row says meanwhile.
WITH done AS (
    UPDATE outbox_events SET status = 'consumed', consumed_at = clock_timestamp(), consumed_by = $2,
        delivered_at = coalesce(delivered_at, clock_timestamp()), epoch = NULL, locked_by = NULL, locked_at = NULL,
        lease_expires_at = NULL, updated_at = now()
    WHERE id = ANY ($1::bigint[]) AND status IN ('pending', 'processing', 'failed', 'delivered')
    RETURNING extract(epoch FROM consumed_at - created_at)::float8 AS seconds
)
SELECT width_bucket(seconds, $3::float8[]) AS bucket, count(*) AS events, sum(seconds) AS seconds
FROM done GROUP BY 1;

-- name: fail
UPDATE outbox_events o SET attempts = o.attempts + 1, last_error = f.error,
    status = CASE WHEN o.attempts + 1 >= o.max_attempts THEN 'dead_letter' ELSE 'failed' END,
    next_retry_at = now() + f.delay_ms * interval '1 millisecond', locked_by = NULL, locked_at = NULL,
    lease_expires_at = NULL, updated_at = now()
FROM unnest($2::bigint[], $3::text[], $4::bigint[]) AS f (id, error, delay_ms)
WHERE o.id = f.id AND o.status = 'processing' AND o.locked_by = $1
RETURNING o.event_id, o.status, o.attempts;

-- name: fence
-- Before settling: claims under way are waited for, and those that still come are under an old token.
UPDATE delivery_shards SET token = token + 1
WHERE shard IN (SELECT shard FROM delivery_shards WHERE owner = $1 AND lease_expires_at > now()
                ORDER BY shard FOR UPDATE)
RETURNING shard, token;

-- name: settle
-- A new Redis epoch, or a statement of this worker with an unknown outcome: what it held, and what was published
-- in another epoch, is pending again. $1 worker, $2 the epoch that holds now. A synchronous commit, as rescue's.
WITH durable AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'on', true) = 'on' AS yes
), mine AS MATERIALIZED (
    SELECT shard FROM delivery_shards WHERE owner = $1 AND lease_expires_at > now()
), wanted AS (
    SELECT id FROM outbox_events WHERE status = 'processing' AND locked_by = $1
    UNION ALL
    SELECT id FROM outbox_events
    WHERE status = 'delivered' AND (epoch < $2 OR epoch > $2 OR epoch IS NULL)
      AND (hashtext(session_id) & 31) IN (SELECT shard FROM mine)
)
UPDATE outbox_events SET status = 'pending', delivered_at = NULL, locked_by = NULL, locked_at = NULL,
    lease_expires_at = NULL, updated_at = now()
WHERE id = ANY (ARRAY(SELECT id FROM wanted ORDER BY id)) AND (SELECT yes FROM durable)
  AND ((status = 'processing' AND locked_by = $1) OR (status = 'delivered' AND epoch IS DISTINCT FROM $2));

-- name: overdue
-- Delivered long ago while the group has nothing left to read: their entries are gone.
UPDATE outbox_events SET status = 'pending', delivered_at = NULL, updated_at = now()
WHERE status = 'delivered' AND id = ANY (ARRAY(
    SELECT id FROM outbox_events
    WHERE status = 'delivered' AND delivered_at < now() - $2::interval
      AND (hashtext(session_id) & 31) IN
          (SELECT shard FROM delivery_shards WHERE owner = $1 AND lease_expires_at > now())
    ORDER BY id LIMIT 5000));

-- name: backlog
-- Bounded by design: beyond $1 rows of a state it says only "that many or more".
SELECT (SELECT count(*) FROM (SELECT FROM outbox_events WHERE status = 'pending' LIMIT $1) p) AS pending,
       (SELECT count(*) FROM (SELECT FROM outbox_events WHERE status = 'processing' LIMIT $1) p) AS processing,
       (SELECT count(*) FROM (SELECT FROM outbox_events WHERE status = 'failed' LIMIT $1) p) AS failed,
       (SELECT count(*) FROM (SELECT FROM outbox_events WHERE status = 'delivered' LIMIT $1) p) AS delivered,
       (SELECT count(*) FROM (SELECT FROM outbox_events WHERE status = 'dead_letter' LIMIT $1) p) AS dead_letter,
       (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM
            (SELECT created_at FROM outbox_events WHERE status = 'pending' ORDER BY id LIMIT 1) p) AS oldest_seconds;

-- name: prune
-- A slice of the table in id order, consumed rows older than the retention deleted from it. Returns where to go on;
-- null: the slice reached rows that are too young, begin anew next time.
WITH slice AS (
    SELECT id, status = 'consumed' AND consumed_at < now() - $2::interval AS old,
           created_at > now() - $2::interval AS young
    FROM outbox_events WHERE id > $1 ORDER BY id LIMIT $3
), deleted AS (
    DELETE FROM outbox_events WHERE id = ANY (ARRAY(SELECT id FROM slice WHERE old)) AND status = 'consumed'
    RETURNING id
)
SELECT (SELECT count(*) FROM deleted) AS deleted,
       CASE WHEN count(*) < $3 OR bool_or(young) THEN NULL ELSE max(id) END AS next FROM slice;

-- name: pause
UPDATE delivery_control SET paused_at = coalesce(paused_at, now()), paused_by = $1, reason = $2;

-- name: resume
UPDATE delivery_control SET paused_at = NULL, paused_by = NULL, reason = NULL;

-- name: control
SELECT paused_at, paused_by, reason FROM delivery_control;
