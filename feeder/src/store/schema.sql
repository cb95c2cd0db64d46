-- Which life of which database, and its keys. One row.
CREATE TABLE history (
    generation  INTEGER NOT NULL,
    id          BLOB    NOT NULL,
    content_key BLOB    NOT NULL,
    proof_key   BLOB    NOT NULL
) STRICT;

-- Where it stands. One row, written with every change.
CREATE TABLE standing (
    revision    INTEGER NOT NULL,
    next_slot   INTEGER NOT NULL,
    next_tenant INTEGER NOT NULL
) STRICT;

CREATE TABLE tenants (
    number INTEGER PRIMARY KEY,
    name   TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE bindings (
    tenant    INTEGER NOT NULL,
    issuer    TEXT    NOT NULL,
    claim     TEXT    NOT NULL,
    attribute TEXT    NOT NULL,
    pin_claim TEXT,
    pin_value TEXT,
    PRIMARY KEY (tenant, issuer)
) STRICT, WITHOUT ROWID;

-- Times are milliseconds since 1970-01-01T00:00:00Z.
CREATE TABLE tokens (
    id      TEXT    PRIMARY KEY,
    tenant  INTEGER NOT NULL,
    hash    BLOB    NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    expires INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    slot       INTEGER PRIMARY KEY,
    tenant     INTEGER NOT NULL,
    id         BLOB    NOT NULL,
    attributes TEXT    NOT NULL,
    created    INTEGER NOT NULL,
    modified   INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT;

CREATE TABLE groups (
    slot       INTEGER PRIMARY KEY,
    tenant     INTEGER NOT NULL,
    id         BLOB    NOT NULL,
    attributes TEXT    NOT NULL,
    created    INTEGER NOT NULL,
    modified   INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    group_slot  INTEGER NOT NULL,
    member_slot INTEGER NOT NULL,
    PRIMARY KEY (group_slot, member_slot)
) STRICT, WITHOUT ROWID;

-- What each of the latest revisions touched, as JSON.
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    touched  TEXT    NOT NULL
) STRICT;
