-- provider-reminder's own. A person is a userId and the subject of their app token, '' where none was shown.
CREATE TABLE reminder_people (
    user_id    text NOT NULL,
    subject    text NOT NULL,
    session_id text NOT NULL,             -- where they were heard last
    timezone   text,                      -- the latest that they were in; an IANA name
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, subject)
);
CREATE INDEX reminder_people_by_age ON reminder_people (updated_at);

CREATE TABLE reminders (
    reminder_id      text PRIMARY KEY,    -- made of the run that asked for it, so that a retried run makes one
    user_id          text NOT NULL,
    subject          text NOT NULL,
    run_id           text NOT NULL,
    matter           text NOT NULL,       -- what to remind of; may be empty
    language         text NOT NULL,
    rule             text,                -- RFC 5545; null: once
    anchor           timestamp,           -- of a rule: a wall clock that it names, the last one that was said or the first
    due_at           timestamptz,         -- null: over or cancelled
    occurrence       integer NOT NULL DEFAULT 1,  -- counts what is due: with the id it names the event that is pushed
    state            text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'over', 'cancelled', 'refused')),
    said_at          timestamptz,         -- when it was last said
    attempts         integer NOT NULL DEFAULT 0,
    last_error       text,
    lease_owner      text,
    lease_expires_at timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (user_id, subject) REFERENCES reminder_people ON DELETE CASCADE,
    CHECK ((state = 'waiting') = (due_at IS NOT NULL)),
    CHECK ((rule IS NULL) = (anchor IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX reminders_due ON reminders (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX reminders_of_person ON reminders (user_id, subject);
CREATE INDEX reminders_past ON reminders (updated_at) WHERE due_at IS NULL;

-- What a run was answered: asked again, it is answered the same and changes nothing.
CREATE TABLE reminder_answers (
    user_id    text NOT NULL,
    subject    text NOT NULL,
    run_id     text NOT NULL,
    answer     jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, subject, run_id),
    FOREIGN KEY (user_id, subject) REFERENCES reminder_people ON DELETE CASCADE
);
CREATE INDEX reminder_answers_by_age ON reminder_answers (created_at);
