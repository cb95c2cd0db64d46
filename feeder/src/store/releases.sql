-- Names that were lost, and by whom: an external id, or the slot of a user without one. Whichever it is not is '' or 0.
CREATE TABLE releases (
    tenant      INTEGER NOT NULL,
    attribute   TEXT    NOT NULL,
    value       TEXT    NOT NULL,
    external_id TEXT    NOT NULL,
    slot        INTEGER NOT NULL,
    lost        INTEGER NOT NULL,
    PRIMARY KEY (tenant, attribute, value, external_id, slot)
) STRICT, WITHOUT ROWID;
