-- The unit that took this one in; empty where none did. A table of units from before the merge does not move it back.
ALTER TABLE units ADD COLUMN merged_into TEXT NOT NULL DEFAULT '';
