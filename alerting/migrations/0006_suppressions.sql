-- What people decided not to see, for how long and why. Empty rule, unit or host: any.
CREATE TABLE suppressions (
    id TEXT PRIMARY KEY,
    rule_id TEXT NOT NULL,
    rule_title TEXT NOT NULL,
    -- Stands for its whole subtree.
    unit TEXT NOT NULL,
    host TEXT NOT NULL,
    -- Fields that must have these values: [{"name": .., "value": ..}].
    fields TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    -- Of one that somebody ended before its time.
    ended_at BIGINT,
    ended_by TEXT,
    match_count BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    last_hidden_at BIGINT
);
CREATE INDEX suppressions_by_end ON suppressions (ends_at);
CREATE INDEX suppressions_by_time ON suppressions (created_at, id);

-- The matches that were hidden: to be looked at, and so that a replay neither counts nor shows them.
CREATE TABLE suppressed_matches (
    match_id TEXT PRIMARY KEY,
    suppression_id TEXT NOT NULL REFERENCES suppressions (id),
    -- Counts up within the suppression.
    number BIGINT NOT NULL,
    rule_id TEXT NOT NULL,
    rule_title TEXT NOT NULL,
    severity BIGINT NOT NULL,
    unit TEXT NOT NULL,
    host TEXT NOT NULL,
    event_time BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    -- Its first event, and how that began.
    event_id TEXT NOT NULL,
    raw TEXT NOT NULL,
    hidden_at BIGINT NOT NULL
);
CREATE INDEX suppressed_matches_in_order ON suppressed_matches (suppression_id, number);
CREATE INDEX suppressed_matches_by_age ON suppressed_matches (hidden_at);
-- A preview asks for the alerts of some days.
CREATE INDEX alerts_by_last_event ON alerts (last_event_at);
