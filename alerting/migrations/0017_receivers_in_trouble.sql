-- Why the last try failed: unreachable, refused, settings or broken; empty where none did.
ALTER TABLE notification_messages ADD COLUMN last_fault TEXT NOT NULL DEFAULT '';
-- Since when nothing gets through by a route, and what the last try met; NULL once something did.
ALTER TABLE notification_routes ADD COLUMN failing_since BIGINT;
ALTER TABLE notification_routes ADD COLUMN failing_fault TEXT NOT NULL DEFAULT '';
ALTER TABLE notification_routes ADD COLUMN failing_error TEXT NOT NULL DEFAULT '';
