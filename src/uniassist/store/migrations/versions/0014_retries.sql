-- When failed events are due, by an index that nothing else can be looked for in: with statistics from before anything had
-- failed, the planner read all that failed by the one before, for each event that a claim looked at, to see whether one of
-- its session had. That every row has a time is no news to who asks for one, and isn't known of who doesn't.
CREATE INDEX outbox_retries ON outbox_events (next_retry_at) WHERE status = 'failed' AND next_retry_at IS NOT NULL;
DROP INDEX outbox_failed_due;
