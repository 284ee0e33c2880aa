CREATE INDEX incidents_by_rule ON incidents (rule_id, number);
-- Alerts of a group whose incident was merged join the one that took it in.
CREATE INDEX incidents_merged ON incidents (group_key) WHERE merged_into IS NOT NULL;
CREATE INDEX incidents_merged_into ON incidents (merged_into) WHERE merged_into IS NOT NULL;
