-- What people send besides text: what is wanted, fetched and kept, and the files of those who left.

-- name: add_medium
INSERT INTO wechat_media (openid, media_id, name, kind) VALUES (:openid, :media_id, :name, :kind)
ON CONFLICT (openid, media_id) DO NOTHING;

-- name: medium
SELECT openid, media_id, name, mime, size, sha256, state, attempts, kind FROM wechat_media
WHERE openid = :openid AND media_id = :media_id;

-- name: claim_media
-- A medium is claimed again and again until it is fetched, after a pause that doubles from :lease_seconds to an hour. One
-- that is longer is from before the database's clock was set back, and over.
UPDATE wechat_media SET attempts = attempts + 1,
    due_at = now() + make_interval(secs => least(:lease_seconds * 2 ^ least(attempts, 12), 3600))
WHERE (openid, media_id) IN (SELECT openid, media_id FROM wechat_media
                             WHERE state = 'waiting'
                               AND (due_at <= now() OR due_at > now() + make_interval(
                                        secs => least(:lease_seconds * 2 ^ least(attempts, 12), 3600)))
                             ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING openid, media_id, name, mime, size, sha256, state, attempts, kind;

-- name: claim_medium
UPDATE wechat_media SET due_at = now() + make_interval(secs => :lease_seconds), attempts = attempts + 1
WHERE openid = :openid AND media_id = :media_id AND state = 'waiting'
  AND (due_at <= now() OR due_at > now() + make_interval(secs => least(:lease_seconds * 2 ^ least(attempts, 12), 3600)))
RETURNING openid, media_id, name, mime, size, sha256, state, attempts, kind;

-- name: store_medium
UPDATE wechat_media SET state = 'stored', mime = :mime, size = :size, sha256 = :sha256
WHERE openid = :openid AND media_id = :media_id;

-- name: lose_medium
UPDATE wechat_media SET state = 'lost' WHERE openid = :openid AND media_id = :media_id;

-- name: claim_old_media
-- Media that were kept for longer than :days, of people for whom no run is open. Others may claim the same again after
-- :lease_seconds.
UPDATE wechat_media SET due_at = now() + make_interval(secs => :lease_seconds)
WHERE (openid, media_id) IN (
    SELECT openid, media_id FROM wechat_media m
    WHERE created_at < now() - make_interval(days => :days) AND due_at <= now() AND state <> 'waiting'
      AND NOT EXISTS (
        SELECT FROM sessions s JOIN provider_runs r ON r.session_id = s.session_id
        WHERE s.user_id = 'wx:' || m.openid AND r.status IN ('pending', 'running'))
    ORDER BY created_at LIMIT :limit FOR UPDATE OF m SKIP LOCKED)
RETURNING openid, media_id, name, mime, size, sha256, state, attempts, kind;

-- name: forget_media
DELETE FROM wechat_media WHERE (openid, media_id) IN (SELECT * FROM unnest(:openids::text[], :media_ids::text[]));

-- name: add_left_media
INSERT INTO wechat_left_media (name) SELECT unnest(:names::text[]) ON CONFLICT (name) DO NOTHING;

-- name: left_media
SELECT name FROM wechat_left_media ORDER BY name LIMIT :limit;

-- name: forget_left_media
DELETE FROM wechat_left_media WHERE name = ANY (:names::text[]);
