-- What a run is at the agent that answers it: {"contextId", "taskId", "messageId"}, the last the newest that it has.
ALTER TABLE provider_runs ADD COLUMN remote jsonb;
