-- Who may follow what of the feed: the rules, as JSON. One row.
CREATE TABLE feed_access (
    rules TEXT NOT NULL
) STRICT;
INSERT INTO feed_access (rules) VALUES ('[]');
