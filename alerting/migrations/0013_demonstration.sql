-- 1 once recordings were played into this installation: what it holds is shown, told and sent as a demonstration.
-- Nothing takes it back.
INSERT INTO counters (name, value) VALUES ('demonstration', 0);
-- Of incidents opened since then; it stays with them wherever they go.
ALTER TABLE incidents ADD COLUMN demonstration BIGINT NOT NULL DEFAULT 0;
