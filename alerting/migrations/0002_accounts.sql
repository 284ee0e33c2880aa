CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    -- The unit whose subtree the person sees; empty for the whole city.
    unit_root TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    disabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE sessions (
    -- SHA-256 of the token in the cookie: who reads the table cannot sign in.
    token_hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    csrf TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

-- The tree of units as it is now: each unit with each unit above it, itself included. A person sees the
-- units below the one they are bound to.
CREATE TABLE unit_ancestors (
    ancestor TEXT NOT NULL,
    unit TEXT NOT NULL,
    PRIMARY KEY (ancestor, unit)
);
