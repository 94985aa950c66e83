-- When people unfollowed, for two days: what they did before that and the platform repeats afterwards isn't new, nor is
-- the unfollowing itself. By a digest, since nothing else of them is kept.
CREATE TABLE wechat_left (
    person  bytea PRIMARY KEY,           -- sha256 of the openid
    left_at timestamptz NOT NULL         -- as the platform dates it, in whole seconds
);
CREATE INDEX wechat_left_by_age ON wechat_left (left_at);

-- Media of those who left, until their files are removed.
CREATE TABLE wechat_left_media (
    name text PRIMARY KEY                -- under which it is stored
);
