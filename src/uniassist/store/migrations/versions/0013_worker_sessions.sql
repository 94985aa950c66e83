-- Which session of which server brought a worker's last beat: one that is gone says that the worker is, before its lease
-- ends. All null behind a pooler, whose sessions are nobody's, and of workers before this.
ALTER TABLE delivery_workers
    ADD COLUMN beat_at      timestamptz,
    ADD COLUMN session_pid  integer,
    ADD COLUMN server_began timestamptz;
