-- The schemas that tenants have defined. `resource` is what they extend, `schema` their JSON (RFC 7643 section 7).
CREATE TABLE extensions (
    tenant   INTEGER NOT NULL,
    urn      TEXT    NOT NULL,
    resource TEXT    NOT NULL,
    schema   TEXT    NOT NULL,
    PRIMARY KEY (tenant, urn)
) STRICT, WITHOUT ROWID;
