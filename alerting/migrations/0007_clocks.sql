-- Reports that were handed in, by the name of the reporting clock that they stop.
CREATE TABLE incident_reports (
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    clock TEXT NOT NULL,
    reported_at BIGINT NOT NULL,
    who TEXT NOT NULL,
    -- Where the report is to be found: a number, a letter, a link.
    reference TEXT NOT NULL,
    PRIMARY KEY (incident_id, clock)
);

-- Clocks that ran out before what they wait for was done; each is alarmed once.
CREATE TABLE clock_alarms (
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    -- acknowledge, resolve, or report: and the reporting clock's name.
    clock TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    alarmed_at BIGINT NOT NULL,
    PRIMARY KEY (incident_id, clock)
);
-- Who ran out of time lately is looked for by severity and time of detection.
CREATE INDEX incidents_by_detection ON incidents (severity, created_at);
