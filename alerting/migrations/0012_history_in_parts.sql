-- What a line of the history says, in parts, for who says it in another language: {"from": .., "to": ..}.
ALTER TABLE incident_history ADD COLUMN parameters TEXT NOT NULL DEFAULT '';
