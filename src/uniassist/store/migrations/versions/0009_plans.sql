-- A person's plans. A person is a user id and, where apps show tokens, the subject that it was shown by; '' for none.
CREATE TABLE plans (
    user_id      text NOT NULL,
    subject      text NOT NULL,
    plan_id      text NOT NULL,
    body         text NOT NULL,                 -- provider-plan's own short JSON
    version      bigint NOT NULL DEFAULT 1,     -- of the body, one more with each change
    timezone     text,                          -- IANA; of the person, when last heard of
    ends_on      date NOT NULL,
    told_through date NOT NULL,                 -- the last day of theirs whose steps need not be told any more
    due_at       timestamptz,                   -- when the next steps are to be told; empty: nothing is left
    leased_until timestamptz,                   -- by who is telling them
    created_at   timestamptz NOT NULL DEFAULT now(),
    changed_at   timestamptz NOT NULL DEFAULT now(),
    used_at      timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz,                   -- for a while it can be had back
    PRIMARY KEY (user_id, subject, plan_id)
);
CREATE INDEX plans_due ON plans (due_at) WHERE due_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX plans_by_use ON plans (used_at);
CREATE INDEX plans_deleted ON plans (deleted_at) WHERE deleted_at IS NOT NULL;

-- What calls that changed something were answered, so that a call that comes again changes nothing more.
CREATE TABLE plan_answers (
    user_id    text NOT NULL,
    subject    text NOT NULL,
    call_key   text NOT NULL,
    answer     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, subject, call_key)
);
CREATE INDEX plan_answers_by_age ON plan_answers (created_at);

-- What is known of a plan whose form is open: the form asks for the rest.
CREATE TABLE plan_drafts (
    user_id    text NOT NULL,
    subject    text NOT NULL,
    task_id    text NOT NULL,
    known      text NOT NULL,                   -- JSON, a text for each field
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, subject, task_id)
);
CREATE INDEX plan_drafts_by_age ON plan_drafts (created_at);

-- Who has the link reads the calendar. Only its hash is here.
CREATE TABLE plan_links (
    link_hash  bytea PRIMARY KEY,
    user_id    text NOT NULL,
    subject    text NOT NULL,
    plan_id    text,                            -- empty: of all plans
    language   text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX plan_links_by_person ON plan_links (user_id, subject);
CREATE INDEX plan_links_by_expiry ON plan_links (expires_at);
