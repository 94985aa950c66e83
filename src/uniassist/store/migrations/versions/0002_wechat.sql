-- Whoever writes to the Official Account, and what the platform lets us write back. The row's lock orders all that
-- is done for one person; the lease, one sender at a time.
CREATE TABLE wechat_people (
    openid           text PRIMARY KEY,
    message_at       timestamptz,                     -- their last message: 48 hours, 5 messages of ours
    message_sends    integer NOT NULL DEFAULT 0,
    event_at         timestamptz,                     -- their last follow, scan or click: 1 minute, 3 messages
    event_sends      integer NOT NULL DEFAULT 0,
    menu             jsonb,                           -- the numbered choices that they may answer now
    replies          bigint NOT NULL DEFAULT 0,       -- replies so far: the position of the last one
    due_at           timestamptz,                     -- when the sender is to look; null: no need
    failures         integer NOT NULL DEFAULT 0,      -- sends in a row that the platform couldn't take
    lease_owner      text,
    lease_expires_at timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX wechat_people_due ON wechat_people (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX wechat_people_by_message ON wechat_people (message_at);

-- How far a session's timeline was turned into replies.
CREATE TABLE wechat_cursors (
    session_id text PRIMARY KEY,
    seq        bigint NOT NULL
) WITH (fillfactor = 70);

-- The platform's pushes, each under a digest of what makes it one: the platform repeats itself, to any instance.
CREATE TABLE wechat_pushes (
    push_key   text PRIMARY KEY,
    openid     text NOT NULL,
    pushes     integer NOT NULL DEFAULT 1,
    held_until timestamptz,              -- until then the push itself may still be answered
    decision   jsonb,                    -- what a number stood for when it came
    reply      text,                     -- what it was answered with; empty: with silence
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX wechat_pushes_by_person ON wechat_pushes (openid);
CREATE INDEX wechat_pushes_by_age ON wechat_pushes (created_at);

-- A reply: an interaction of a timeline as text, on its way to one person. `text` is what remains to be said.
CREATE TABLE wechat_replies (
    event_id   text PRIMARY KEY,
    openid     text NOT NULL,
    position   bigint NOT NULL,
    session_id text NOT NULL,
    trace_id   text NOT NULL,
    run_id     text,
    text       text NOT NULL,
    pieces     integer NOT NULL DEFAULT 0,            -- pieces of a long reply that are said already
    in_flight  integer NOT NULL DEFAULT 0,            -- characters of `text` that are being sent
    choices    jsonb,                                 -- the menu in it
    state      text NOT NULL DEFAULT 'waiting' CHECK (state IN
                   ('waiting', 'sending', 'sent', 'parked', 'refused', 'unknown')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX wechat_replies_open ON wechat_replies (openid, position) WHERE state IN ('waiting', 'sending', 'parked');
CREATE INDEX wechat_replies_by_person ON wechat_replies (openid);
CREATE INDEX wechat_replies_by_age ON wechat_replies (updated_at);

-- What became of replies, on its way to the gateway's timeline.
CREATE TABLE wechat_reports (
    id         bigserial PRIMARY KEY,
    openid     text NOT NULL,
    session_id text NOT NULL,
    trace_id   text NOT NULL,
    run_id     text,
    event_ids  text[] NOT NULL,
    outcome    text NOT NULL CHECK (outcome IN ('sent', 'parked', 'refused', 'unknown')),
    detail     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX wechat_reports_by_person ON wechat_reports (openid);

-- What people sent besides text, until it is fetched: the platform keeps it for three days.
CREATE TABLE wechat_media (
    openid     text NOT NULL,
    media_id   text NOT NULL,
    name       text NOT NULL,            -- under which it is stored
    mime       text,
    size       bigint,
    sha256     text,
    state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'stored', 'lost')),
    attempts   integer NOT NULL DEFAULT 0,
    due_at     timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (openid, media_id)
);
CREATE INDEX wechat_media_due ON wechat_media (due_at) WHERE state = 'waiting';
