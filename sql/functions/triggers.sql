-- The triggers that call the functions of notes.sql and events.sql. They have a file of their own,
-- which seldom changes, because replacing a trigger waits for loaders and blocks them. A loader
-- begins each transaction with a lock on loader_offsets. The same lock here avoids deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

CREATE OR REPLACE TRIGGER note_new_visits AFTER INSERT ON processed.visit_rows
    REFERENCING NEW TABLE AS new_visits
    FOR EACH STATEMENT EXECUTE FUNCTION processed.note_visits();
CREATE OR REPLACE TRIGGER note_changed_visits AFTER UPDATE ON processed.visit_rows
    REFERENCING OLD TABLE AS old_visits NEW TABLE AS new_visits
    FOR EACH STATEMENT EXECUTE FUNCTION processed.note_visits();
CREATE OR REPLACE TRIGGER note_removed_visits AFTER DELETE ON processed.visit_rows
    REFERENCING OLD TABLE AS old_visits
    FOR EACH STATEMENT EXECUTE FUNCTION processed.note_visits();
CREATE OR REPLACE TRIGGER note_first_offset AFTER INSERT ON processed.loader_offsets
    FOR EACH ROW WHEN (NEW.topic LIKE '%bronze\_events')
    EXECUTE FUNCTION processed.note_first_offset();
CREATE OR REPLACE TRIGGER keep_labels BEFORE UPDATE OR DELETE OR TRUNCATE ON raw.event_labels
    FOR EACH STATEMENT EXECUTE FUNCTION raw.keep_entries();
CREATE OR REPLACE TRIGGER keep_sources BEFORE UPDATE OR DELETE OR TRUNCATE ON raw.event_sources
    FOR EACH STATEMENT EXECUTE FUNCTION raw.keep_entries();
CREATE OR REPLACE TRIGGER note_late AFTER INSERT ON raw.late_events
    REFERENCING NEW TABLE AS new_late
    FOR EACH STATEMENT EXECUTE FUNCTION processed.note_late();

-- A refresh locks the reports, then rows of alerts. A change of rules locks in the same order.
CREATE OR REPLACE TRIGGER lock_alert_rules
    BEFORE INSERT OR UPDATE OR DELETE ON reporting.alert_rules
    FOR EACH STATEMENT EXECUTE FUNCTION mart.lock_funnels();
