-- Tenants of which filters are sent what was so at a revision. The copy of that lies beside the database; it counts when `kept` is 1.
CREATE TABLE frozen (
    tenant   INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    kept     INTEGER NOT NULL
) STRICT;

-- In backups alone: those copies, each in parts.
CREATE TABLE frozen_parts (
    file  TEXT    NOT NULL,
    part  INTEGER NOT NULL,
    bytes BLOB    NOT NULL,
    PRIMARY KEY (file, part)
) STRICT;

-- Each start of a feeder on the database, and the revision that it had then.
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    id     BLOB    NOT NULL,
    start  INTEGER NOT NULL
) STRICT;

-- A revision that a filter has proved, and that is not of this database's past. At most one row.
CREATE TABLE proved (
    revision INTEGER NOT NULL
) STRICT;
