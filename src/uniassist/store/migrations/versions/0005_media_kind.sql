-- What a medium is to be (image, audio, file): only a video may be somewhere else than where it is asked for.
ALTER TABLE wechat_media ADD COLUMN kind text;  -- null: wanted by an older release
