-- How urgent an incident is, the tactics of its rules (a bit each), how many rules it holds and how many
-- entities it names.
ALTER TABLE incidents ADD COLUMN score BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN tactics BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN rule_count BIGINT NOT NULL DEFAULT 1;
ALTER TABLE incidents ADD COLUMN entity_count BIGINT NOT NULL DEFAULT 0;
UPDATE incidents SET
    score = CASE severity WHEN 0 THEN 10 WHEN 1 THEN 25 WHEN 2 THEN 45 WHEN 3 THEN 65 ELSE 80 END,
    entity_count = (SELECT COUNT(*) FROM incident_entities WHERE incident_id = incidents.id),
    tactics =
        CASE WHEN tags LIKE '%"attack.reconnaissance"%' THEN 1 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.resource_development"%' THEN 2 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.initial_access"%' THEN 4 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.execution"%' THEN 8 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.persistence"%' THEN 16 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.privilege_escalation"%' THEN 32 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.defense_evasion"%' THEN 64 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.stealth"%' THEN 128 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.defense_impairment"%' THEN 256 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.credential_access"%' THEN 512 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.discovery"%' THEN 1024 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.lateral_movement"%' THEN 2048 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.collection"%' THEN 4096 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.command_and_control"%' THEN 8192 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.exfiltration"%' THEN 16384 ELSE 0 END
        + CASE WHEN tags LIKE '%"attack.impact"%' THEN 32768 ELSE 0 END;
CREATE INDEX incidents_by_score ON incidents (score, number) WHERE merged_into IS NULL;
-- Facets count over this index alone.
CREATE INDEX incidents_facets ON incidents (state, severity, assignee, unit, rule_id, tactics, last_event_at)
    WHERE merged_into IS NULL;
CREATE INDEX incidents_by_judgement ON incidents (rule_id, closed_at) WHERE verdict IS NOT NULL;

-- Whom and what an alert is about, to find what else speaks of it. `at` is the time of the alert's first event
-- when it was made: it stays, so that rows stay in their order.
CREATE TABLE alert_entities (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    unit TEXT NOT NULL,
    at BIGINT NOT NULL,
    alert_id TEXT NOT NULL,
    host TEXT NOT NULL,
    PRIMARY KEY (kind, value, unit, at, alert_id)
);
CREATE INDEX alert_entities_by_alert ON alert_entities (alert_id);
CREATE INDEX alerts_by_rule ON alerts (rule_id, first_event_at);
