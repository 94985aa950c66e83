-- The order of a session's events is sessions.seq, taken under the session's row lock.
CREATE TABLE sessions (
    session_id       text PRIMARY KEY,
    user_id          text NOT NULL,
    seq              bigint NOT NULL DEFAULT 0,
    last_activity_at timestamptz NOT NULL DEFAULT now(),
    created_at       timestamptz NOT NULL DEFAULT now(),
    signed           boolean NOT NULL DEFAULT false,   -- opened by a signed source: takes only signed calls
    subject          text,                             -- the app token's subject that owns it, when app auth is on
    successor_id     text,                             -- the session that goes on after this one was idle too long
    state            jsonb NOT NULL DEFAULT '{}'       -- routing memory: sticky, lead, drift
) WITH (fillfactor = 70);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at DESC);

CREATE TABLE timeline_events (
    event_id          text PRIMARY KEY,
    trace_id          text NOT NULL,
    session_id        text NOT NULL,
    user_id           text NOT NULL,
    provider_id       text,
    run_id            text,
    seq               bigint NOT NULL CHECK (seq > 0),
    timestamp_ms      bigint NOT NULL,
    kind              text NOT NULL CHECK (kind IN ('inbound', 'routing_decision', 'provider_run', 'interaction',
                          'user_interaction', 'domain_event', 'delivery_event', 'error')),
    extension_kind    text,
    render_schema_ref text,
    payload           jsonb NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (session_id, seq)
);

CREATE TABLE provider_runs (
    run_id          text PRIMARY KEY,
    trace_id        text NOT NULL,
    session_id      text NOT NULL,
    user_id         text NOT NULL,
    provider_id     text NOT NULL,
    mode            text NOT NULL,
    routing_mode    text NOT NULL CHECK (routing_mode IN ('normal', 'fallback')),
    idempotency_key text NOT NULL,
    status          text NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    score           double precision,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX provider_runs_by_session ON provider_runs (session_id, created_at);

-- A call that a provider still owes an answer to: written with the run, deleted with its result.
-- A lease that expired means that its gateway died; any gateway takes the call over.
CREATE TABLE provider_calls (
    call_id          text PRIMARY KEY,
    run_id           text NOT NULL REFERENCES provider_runs (run_id),
    session_id       text NOT NULL,
    provider_id      text NOT NULL,
    kind             text NOT NULL CHECK (kind IN ('invoke', 'interact')),
    request          jsonb NOT NULL,
    attempt          integer NOT NULL DEFAULT 1,
    traceparent      text,
    lease_owner      text NOT NULL,
    lease_expires_at timestamptz NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX provider_calls_by_lease ON provider_calls (lease_expires_at);

CREATE TABLE user_context_cache (
    profile_ref    text PRIMARY KEY,
    user_id        text NOT NULL,
    snapshot       jsonb NOT NULL,
    ttl_expires_at timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE signature_nonces (
    nonce      text PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX signature_nonces_by_expiry ON signature_nonces (expires_at);

-- Answers kept for a client's retry. scope: 'ingest:<subject or user>', key: Idempotency-Key or 'message:<source>:<id>'.
CREATE TABLE idempotency_keys (
    scope      text NOT NULL,
    key        text NOT NULL,
    body_hash  bytea NOT NULL,
    answer     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE outbox_events (
    id               bigserial PRIMARY KEY,
    event_id         text NOT NULL UNIQUE,
    session_id       text NOT NULL,
    channel          text NOT NULL DEFAULT 'timeline',
    payload          jsonb,             -- null: the envelope is built from timeline_events
    status           text NOT NULL DEFAULT 'pending' CHECK (status IN
                         ('pending', 'processing', 'failed', 'delivered', 'consumed', 'dead_letter')),
    attempts         integer NOT NULL DEFAULT 0,
    max_attempts     integer NOT NULL DEFAULT 12,
    last_error       text,
    next_retry_at    timestamptz NOT NULL DEFAULT now(),
    locked_by        text,
    locked_at        timestamptz,
    lease_expires_at timestamptz,
    epoch            text,              -- the Redis epoch it was published in
    replay_token     text,              -- the last replay that moved it, shown on the stream
    traceparent      text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    delivered_at     timestamptz,
    consumed_at      timestamptz,
    consumed_by      text,
    updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX outbox_pending ON outbox_events (id) WHERE status = 'pending';
CREATE INDEX outbox_processing ON outbox_events (id) WHERE status = 'processing';
CREATE INDEX outbox_failed ON outbox_events (session_id, id) WHERE status = 'failed';
CREATE INDEX outbox_failed_due ON outbox_events (next_retry_at) WHERE status = 'failed';
CREATE INDEX outbox_delivered ON outbox_events (epoch, id) WHERE status = 'delivered';
CREATE INDEX outbox_dead_letter ON outbox_events (id) WHERE status = 'dead_letter';

CREATE TABLE outbox_replay_log (
    id                bigserial PRIMARY KEY,
    replay_token      text NOT NULL,
    event_id          text NOT NULL,
    session_id        text NOT NULL,
    previous_status   text NOT NULL,
    previous_attempts integer NOT NULL,
    note              text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (replay_token, event_id)
);

-- Shares of the sessions' hash space, leased to workers: one writer per session, also with several workers.
CREATE TABLE delivery_shards (
    shard            integer PRIMARY KEY,
    owner            text,
    token            bigint NOT NULL DEFAULT 0,        -- the fence: grows with each change of hands
    lease_expires_at timestamptz NOT NULL DEFAULT 'epoch'
);
INSERT INTO delivery_shards (shard) SELECT generate_series(0, 31);

-- One row: whether an operator has paused delivery, who and why.
CREATE TABLE delivery_control (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    paused_at timestamptz,
    paused_by text,
    reason    text
);
INSERT INTO delivery_control DEFAULT VALUES;

-- The workers that are alive, each row renewed with its beat.
CREATE TABLE delivery_workers (
    worker              text PRIMARY KEY,
    expires_at          timestamptz NOT NULL,
    consumed_per_second double precision NOT NULL DEFAULT 0   -- over the last minute
);
