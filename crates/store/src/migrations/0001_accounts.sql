-- Who may use the service. Times are milliseconds since 1970-01-01 UTC.

-- A service instance: what models, jobs and callbacks belong to.
CREATE TABLE instances (
    id TEXT NOT NULL PRIMARY KEY, -- GUID
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    name TEXT NOT NULL,
    hash TEXT NOT NULL, -- SHA-256 of the key, lower-case hexadecimal
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    last_used_at BIGINT
);

CREATE INDEX api_keys_by_instance ON api_keys (instance_id);

-- Secrets of the server itself, such as the one its tokens are signed with.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL, -- lower-case hexadecimal
    created_at BIGINT NOT NULL
);
