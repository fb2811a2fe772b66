-- Custom language models (language-models.md, corpora-words-grammars.md). Times are milliseconds since 1970-01-01 UTC.

CREATE TABLE customizations (
    id TEXT NOT NULL PRIMARY KEY, -- GUID
    instance_id TEXT NOT NULL REFERENCES instances (id),
    name TEXT NOT NULL,
    description TEXT,
    base_model TEXT NOT NULL, -- name of the base model
    language TEXT NOT NULL,
    dialect TEXT NOT NULL,
    versions TEXT NOT NULL, -- of the base model, oldest first, separated by spaces
    status TEXT NOT NULL, -- pending, ready, training, available, upgrading, failed
    changed BIGINT NOT NULL, -- 1: there is something that no training has seen
    busy TEXT, -- what is being done, for which all changes have to wait; its ticket has the id as its subject
    error TEXT,
    weight DOUBLE PRECISION, -- of the last training that asked for one
    snapshot_id TEXT, -- blob: the trained language model
    words_id TEXT, -- blob: the words it was trained with and how they are said
    trained_version TEXT, -- of the base model
    trained_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX customizations_by_age ON customizations (instance_id, created_at, id);

-- A corpus or a grammar.
CREATE TABLE customization_resources (
    customization_id TEXT NOT NULL REFERENCES customizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL, -- corpus, grammar
    media TEXT, -- the form of a grammar
    status TEXT NOT NULL, -- being_processed, analyzed, undetermined
    text_id TEXT NOT NULL, -- blob: as it was sent
    analysis_id TEXT, -- blob: n-gram counts of a corpus, automaton of a grammar
    total_words BIGINT NOT NULL,
    new_word_count BIGINT NOT NULL,
    new_words TEXT, -- what the base vocabulary lacks, with counts, as JSON
    error TEXT,
    created_at BIGINT NOT NULL,
    analysed_at BIGINT,
    customer_id TEXT,
    PRIMARY KEY (customization_id, name)
);

CREATE INDEX customization_resources_by_customer ON customization_resources (customer_id);

-- A word that the user has defined, or deleted although a resource has it.
CREATE TABLE customization_words (
    customization_id TEXT NOT NULL REFERENCES customizations (id) ON DELETE CASCADE,
    word TEXT NOT NULL,
    definition TEXT, -- as JSON; none: it was deleted
    updated_at BIGINT NOT NULL,
    customer_id TEXT,
    PRIMARY KEY (customization_id, word)
);

CREATE INDEX customization_words_by_customer ON customization_words (customer_id);
