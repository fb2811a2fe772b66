-- What is set for one instance, where it differs from the configuration. None: as configured; -1: no limit.

CREATE TABLE instance_limits (
    instance_id TEXT NOT NULL PRIMARY KEY REFERENCES instances (id),
    storage BIGINT, -- bytes
    jobs BIGINT,
    results BIGINT -- milliseconds
);
