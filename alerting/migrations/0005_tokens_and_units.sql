CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- SHA-256 of the token.
    token_hash TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    unit_root TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    last_used_at BIGINT
);

-- Names and places of units over time: a unit's id never changes, and what it was called stays known.
CREATE TABLE units (
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Empty for a unit at the top.
    parent TEXT NOT NULL,
    valid_from BIGINT NOT NULL,
    -- Empty for what holds now.
    valid_to BIGINT,
    PRIMARY KEY (id, valid_from)
);
CREATE INDEX units_now ON units (id) WHERE valid_to IS NULL;
