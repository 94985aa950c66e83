-- What operators did through the console: who, when, what to, why, and what came of it. Only ever added to.
CREATE TABLE operator_acts (
    id      bigserial PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    who     text NOT NULL,
    via     text NOT NULL CHECK (via IN ('token', 'proxy', 'this machine')),
    act     text NOT NULL CHECK (act IN ('replay', 'pause', 'resume')),
    target  jsonb NOT NULL,              -- which events, as they were asked for
    note    text NOT NULL,
    outcome jsonb NOT NULL
);
