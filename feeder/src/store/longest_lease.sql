-- The longest lease that a filter may have. One row. Filters of an older version did not tell theirs: it may be the longest
-- that a policy can have, a week. A new database has served none.
CREATE TABLE longest_lease (
    milliseconds INTEGER NOT NULL
) STRICT;

INSERT INTO longest_lease
SELECT CASE WHEN EXISTS (SELECT 1 FROM history) THEN 604800000 ELSE 0 END;
