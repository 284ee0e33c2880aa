-- Counts the changes of a unit, for If-Match: two administrators do not overwrite each other unseen.
ALTER TABLE units ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
-- Counted up, and locked by it, before the tree of units is read to be changed.
INSERT INTO counters (name, value) VALUES ('tree', 0);
