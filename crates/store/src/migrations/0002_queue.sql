-- Blobs, and work to be done. Times are milliseconds since 1970-01-01 UTC.

-- Bytes too many for a row. Every blob that something refers to has a row here, written in the same transaction.
CREATE TABLE blobs (
    id TEXT NOT NULL PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    size BIGINT NOT NULL, -- bytes
    sha256 TEXT NOT NULL, -- lower-case hexadecimal
    created_at BIGINT NOT NULL
);

CREATE INDEX blobs_by_instance ON blobs (instance_id, size);

-- Blobs whose rows are gone and whose bytes are still to be removed.
CREATE TABLE dropped_blobs (
    id TEXT NOT NULL PRIMARY KEY,
    dropped_at BIGINT NOT NULL
);

-- Work to be done: one ticket for each thing to do, gone when it is done. What clients see of it is in the row it is about.
CREATE TABLE tickets (
    id TEXT NOT NULL PRIMARY KEY,
    queue TEXT NOT NULL,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    subject TEXT NOT NULL, -- id of the row it is about
    priority BIGINT NOT NULL, -- higher comes first
    created_at BIGINT NOT NULL,
    ready_at BIGINT NOT NULL, -- not to be claimed before; of a claimed one, when the claim runs out
    attempts BIGINT NOT NULL, -- claims so far
    max_attempts BIGINT NOT NULL,
    lease TEXT, -- token of the last claim; none when it was given back
    worker TEXT -- who made that claim
);

-- One thing to do about a row in a queue at a time.
CREATE UNIQUE INDEX tickets_by_subject ON tickets (queue, subject);

-- Whose turn it is, without looking at every ticket.
CREATE INDEX tickets_by_turn ON tickets (queue, instance_id, priority DESC, created_at, ready_at);

CREATE INDEX tickets_claimed ON tickets (queue, instance_id, ready_at) WHERE lease IS NOT NULL;
