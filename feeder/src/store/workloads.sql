-- Names that are compared without regard to the case of ASCII letters.
ALTER TABLE bindings ADD COLUMN ignore_case INTEGER NOT NULL DEFAULT 0;

-- Bindings of workloads: a trust domain is one tenant's.
CREATE TABLE trust_domains (
    name      TEXT    PRIMARY KEY,
    tenant    INTEGER NOT NULL,
    attribute TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
