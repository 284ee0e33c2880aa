-- Counting asks whether an incident was merged, and an index answers only what stands in it: with the column, counts and
-- facets read the index and no rows.
DROP INDEX incidents_facets;
CREATE INDEX incidents_facets
    ON incidents (state, severity, assignee, unit, rule_id, tactics, last_event_at, merged_into)
    WHERE merged_into IS NULL;
-- The list is read state by state, each in its order, instead of being sorted whole; what it is narrowed to most often is
-- found so, too, and counted over the index alone. What stands behind the order lets a row that does not fit be passed over
-- without being looked up. Hosts are in none: their names come from logs, and one may be longer than an index of PostgreSQL
-- takes.
DROP INDEX incidents_by_score;
CREATE INDEX incidents_by_score
    ON incidents (state, score, number, severity, unit, rule_id, assignee, merged_into)
    WHERE merged_into IS NULL;
CREATE INDEX incidents_by_severity
    ON incidents (severity, state, number, unit, rule_id, assignee, merged_into)
    WHERE merged_into IS NULL;
DROP INDEX incidents_by_unit;
CREATE INDEX incidents_by_unit ON incidents (unit, state, number, merged_into) WHERE merged_into IS NULL;
DROP INDEX incidents_by_rule;
CREATE INDEX incidents_by_rule ON incidents (rule_id, state, number, merged_into) WHERE merged_into IS NULL;
