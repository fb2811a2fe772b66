-- While there is a row whose time has not come, no blob is removed: a backup is being made.
CREATE TABLE holds (
    id TEXT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL -- milliseconds since 1970-01-01 UTC
);
