-- Where notifications go, and about what.
CREATE TABLE notification_routes (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- email or webhook.
    kind TEXT NOT NULL,
    -- Addresses joined by commas, or a URL.
    target TEXT NOT NULL,
    -- Stands for its whole subtree; empty: the whole city.
    unit TEXT NOT NULL,
    severity_min BIGINT NOT NULL,
    -- opened, overdue, or both joined by a comma.
    subjects TEXT NOT NULL,
    -- What happens within so long of the first is told at once.
    group_minutes BIGINT NOT NULL,
    -- Empty: the program's own.
    template TEXT NOT NULL,
    -- Signs webhooks; empty for e-mail.
    secret TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- The outbox: one row is one message. What is in it survives the process; a message is sent at least once,
-- and its id goes along, so that who gets it twice can tell.
CREATE TABLE notification_messages (
    id TEXT PRIMARY KEY,
    route_id TEXT NOT NULL,
    -- waiting, sent or failed.
    state TEXT NOT NULL,
    -- Items of this message, listed or not.
    item_count BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- It is sent, or tried again, at this time.
    next_attempt_at BIGINT NOT NULL,
    -- Whoever sends it has it until then.
    claimed_until BIGINT,
    sent_at BIGINT,
    last_error TEXT NOT NULL
);
CREATE INDEX notification_messages_waiting ON notification_messages (state, next_attempt_at);
CREATE INDEX notification_messages_by_route ON notification_messages (route_id, state);
CREATE INDEX notification_messages_by_time ON notification_messages (created_at, id);

-- What a message tells: a copy, so that it tells what was so then.
CREATE TABLE notification_items (
    message_id TEXT NOT NULL REFERENCES notification_messages (id),
    number BIGINT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (message_id, number)
);
