-- What one person or one address has used of a bound: in the window that began then. Only of those who use a lot.
CREATE TABLE usage_windows (
    who      text NOT NULL,              -- user:… or address:…
    what     text NOT NULL,              -- bytes, sessions
    began_at timestamptz NOT NULL,
    amount   bigint NOT NULL,
    PRIMARY KEY (who, what)
) WITH (fillfactor = 70);
CREATE INDEX usage_windows_by_age ON usage_windows (began_at);

-- Providers that are still to be told that a person's data was erased. A row goes with their answer.
CREATE TABLE provider_erasures (
    user_id     text NOT NULL,
    provider_id text NOT NULL,
    subjects    text[] NOT NULL,         -- of the app tokens that the person's sessions were opened with
    asked_at    timestamptz NOT NULL DEFAULT now(),
    attempts    integer NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now(),
    last_error  text,
    PRIMARY KEY (user_id, provider_id)
);
CREATE INDEX provider_erasures_due ON provider_erasures (due_at);
