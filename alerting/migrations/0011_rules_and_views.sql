-- What a lead decided about a rule: whether its matches become alerts, whatever level and status say.
CREATE TABLE rule_switches (
    rule_id TEXT PRIMARY KEY,
    -- 1: they do, 0: they do not, 2: level and status decide again.
    alerts BIGINT NOT NULL,
    reason TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- Matches of rules that are switched off, counted once each.
CREATE TABLE rule_silence (
    rule_id TEXT NOT NULL,
    unit TEXT NOT NULL,
    -- Days since the Unix epoch, by event time.
    day BIGINT NOT NULL,
    match_count BIGINT NOT NULL,
    PRIMARY KEY (rule_id, unit, day)
);

-- The rules that engines work with, as they were loaded last.
CREATE TABLE rules_loaded (
    id TEXT PRIMARY KEY,
    content_hash TEXT NOT NULL,
    title TEXT NOT NULL,
    title_vi TEXT NOT NULL,
    level TEXT NOT NULL,
    status TEXT NOT NULL,
    description TEXT NOT NULL,
    description_vi TEXT NOT NULL,
    tags TEXT NOT NULL,
    body TEXT NOT NULL,
    correlation BIGINT NOT NULL,
    loaded_at BIGINT NOT NULL
);

-- Filters that a person keeps under a name.
CREATE TABLE saved_views (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    -- Of which screen: incidents, events, ...
    screen TEXT NOT NULL,
    -- What its address says after the question mark.
    query TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (user_id, screen, name)
);
