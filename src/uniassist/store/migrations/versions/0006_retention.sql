-- What finds what nobody needs any more: a session that another one goes on to stays as long as that one.
CREATE INDEX sessions_by_successor ON sessions (successor_id) WHERE successor_id IS NOT NULL;
CREATE INDEX user_context_cache_by_expiry ON user_context_cache (ttl_expires_at);
CREATE INDEX user_context_cache_by_user ON user_context_cache (user_id);
CREATE INDEX provider_runs_by_user ON provider_runs (user_id);
