-- Until when a run may stay open after its provider's answer; empty for those that aren't open.
ALTER TABLE provider_runs ADD COLUMN deadline_at timestamptz;
CREATE INDEX provider_runs_by_deadline ON provider_runs (deadline_at) WHERE deadline_at IS NOT NULL;
