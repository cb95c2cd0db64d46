-- Where tokens list groups, and by what. Both or neither.
ALTER TABLE bindings ADD COLUMN groups_claim TEXT;
ALTER TABLE bindings ADD COLUMN groups_claim_is TEXT;
