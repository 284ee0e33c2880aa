-- What rules and incidents are called in Vietnamese; empty where the rule says nothing in it.
ALTER TABLE rules ADD COLUMN title_vi TEXT NOT NULL DEFAULT '';
ALTER TABLE rules ADD COLUMN description_vi TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN title_vi TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN rule_title_vi TEXT NOT NULL DEFAULT '';
