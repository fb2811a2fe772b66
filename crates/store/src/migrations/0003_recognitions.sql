-- Asynchronous recognition and callbacks (async.md). Times are milliseconds since 1970-01-01 UTC.

-- URLs that may be called about jobs.
CREATE TABLE callbacks (
    instance_id TEXT NOT NULL REFERENCES instances (id),
    url TEXT NOT NULL,
    -- As the client gave it: what is sent is signed with it.
    secret TEXT,
    customer_id TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, url)
);

CREATE INDEX callbacks_by_customer ON callbacks (instance_id, customer_id);

-- When an instance registered URLs, for the limit on how many it may in an hour. Without the URLs: these may be gone.
CREATE TABLE callback_registrations (
    id TEXT NOT NULL PRIMARY KEY,
    instance_id TEXT NOT NULL REFERENCES instances (id),
    created_at BIGINT NOT NULL
);

CREATE INDEX callback_registrations_by_time ON callback_registrations (instance_id, created_at);

-- A job, with its results once there are any. Its turn is a ticket in the queue, its audio a blob.
CREATE TABLE recognitions (
    id TEXT NOT NULL PRIMARY KEY, -- GUID
    instance_id TEXT NOT NULL REFERENCES instances (id),
    status TEXT NOT NULL, -- waiting, processing, completed, failed
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT, -- when it goes; set when it ends
    ttl BIGINT NOT NULL, -- milliseconds from its end until then
    request TEXT NOT NULL, -- what was asked for, as the wire keeps it
    blob_id TEXT, -- the audio, until the job ends
    results TEXT, -- as the wire keeps them
    error TEXT, -- why it failed
    callback_url TEXT,
    events TEXT NOT NULL, -- which ones are told to that URL, separated by spaces
    user_token TEXT,
    customer_id TEXT
);

CREATE INDEX recognitions_by_age ON recognitions (instance_id, created_at, id);
CREATE INDEX recognitions_by_end ON recognitions (expires_at);
CREATE INDEX recognitions_by_customer ON recognitions (instance_id, customer_id);

-- What is still to be told about jobs. Only the first of a job has a ticket; the next gets one when it is out.
CREATE TABLE notifications (
    id TEXT NOT NULL PRIMARY KEY,
    recognition_id TEXT NOT NULL REFERENCES recognitions (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    event TEXT NOT NULL,
    UNIQUE (recognition_id, position)
);
