-- One schema for SQLite and PostgreSQL: TEXT and BIGINT only, JSON as TEXT, 0 and 1 for no and yes,
-- times in microseconds since the Unix epoch, UTC.

-- Rows that are counted up under their lock. The first statement of a transaction that changes incidents
-- counts up `change`: so such transactions follow each other, and sequences become visible in order.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('change', 0), ('incident', 0);

-- Every version of a rule that raised an alert, as it was written.
CREATE TABLE rules (
    id TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    title TEXT NOT NULL,
    level TEXT NOT NULL,
    description TEXT NOT NULL,
    tags TEXT NOT NULL,
    body TEXT NOT NULL,
    correlation BIGINT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    PRIMARY KEY (id, content_hash)
);

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    -- What its alerts have in common: rule and host, or rule and the correlation's group.
    group_key TEXT NOT NULL,
    title TEXT NOT NULL,
    -- 0 informational, 1 low, 2 medium, 3 high, 4 critical.
    severity BIGINT NOT NULL,
    state TEXT NOT NULL,
    unit TEXT NOT NULL,
    host TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    rule_hash TEXT NOT NULL,
    rule_title TEXT NOT NULL,
    rule_level TEXT NOT NULL,
    rule_correlation BIGINT NOT NULL,
    tags TEXT NOT NULL,
    alert_count BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    evidence_count BIGINT NOT NULL,
    first_event_at BIGINT NOT NULL,
    last_event_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    assignee TEXT,
    verdict TEXT,
    verdict_reason TEXT,
    acknowledged_at BIGINT,
    resolved_at BIGINT,
    closed_at BIGINT,
    merged_into TEXT,
    -- Counts what people changed, for If-Match; alerts that join do not count it up.
    version BIGINT NOT NULL,
    -- The place in the stream of changes; people's changes and joining alerts both move it.
    change_sequence BIGINT NOT NULL
);
CREATE INDEX incidents_by_group ON incidents (group_key, last_event_at);
CREATE INDEX incidents_by_change ON incidents (change_sequence);
CREATE INDEX incidents_by_state ON incidents (state, number);
CREATE INDEX incidents_by_unit ON incidents (unit, number);

CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    rule_id TEXT NOT NULL,
    rule_hash TEXT NOT NULL,
    rule_title TEXT NOT NULL,
    severity BIGINT NOT NULL,
    unit TEXT NOT NULL,
    host TEXT NOT NULL,
    window_start BIGINT,
    window_end BIGINT,
    -- The correlation's group-by fields with their values: [{"name": .., "value": ..}].
    group_values TEXT NOT NULL,
    match_count BIGINT NOT NULL,
    event_count BIGINT NOT NULL,
    first_event_at BIGINT NOT NULL,
    last_event_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX alerts_by_incident ON alerts (incident_id, first_event_at);

-- Which matches have been counted, so that a replay counts none twice; forgotten after a time.
CREATE TABLE alert_matches (
    match_id TEXT PRIMARY KEY,
    alert_id TEXT NOT NULL,
    event_count BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
CREATE INDEX alert_matches_by_age ON alert_matches (seen_at);

-- Copies of the events that are evidence: they outlive the events' retention.
CREATE TABLE incident_events (
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    event_id TEXT NOT NULL,
    event_time BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    unit TEXT NOT NULL,
    host TEXT NOT NULL,
    format TEXT NOT NULL,
    agent TEXT NOT NULL,
    stream TEXT NOT NULL,
    position TEXT NOT NULL,
    fields TEXT NOT NULL,
    raw TEXT NOT NULL,
    PRIMARY KEY (incident_id, event_id)
);

-- Which rule matched which of these events, by which fields.
CREATE TABLE incident_event_rules (
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    event_id TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    matched TEXT NOT NULL,
    PRIMARY KEY (incident_id, event_id, rule_id)
);

CREATE TABLE incident_entities (
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (incident_id, kind, value)
);
CREATE INDEX incident_entities_by_value ON incident_entities (kind, value);

CREATE TABLE incident_history (
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    kind TEXT NOT NULL,
    what TEXT NOT NULL,
    PRIMARY KEY (incident_id, number)
);
