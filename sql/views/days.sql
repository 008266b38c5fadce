-- The days that raw.events has, from the names of its partitions. This view reads no partition. The
-- CASE keeps a condition on event_date from reading the names of other relations as days.
CREATE OR REPLACE VIEW mart.event_days AS
SELECT CASE WHEN c.relname ~ '^events_[0-9]{4}_[0-9]{2}_[0-9]{2}$'
            THEN to_date(substr(c.relname, 8), 'YYYY_MM_DD') END AS event_date,
       c.oid AS partition
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'raw.event_rows'::regclass;
COMMENT ON VIEW mart.event_days IS 'The UTC days that raw.events has a partition of.';

CREATE OR REPLACE VIEW reporting.kept_days AS
SELECT event_date, stored AS events, reason, checked_at FROM mart.kept_days;
COMMENT ON VIEW reporting.kept_days IS
    'Days that raw.events still has although they are older than keep_raw_days allows, because the '
    'lake does not have them.';
COMMENT ON COLUMN reporting.kept_days.event_date IS 'UTC day.';
COMMENT ON COLUMN reporting.kept_days.events IS 'Events of the day in raw.events.';
COMMENT ON COLUMN reporting.kept_days.reason IS 'What the lake lacked at checked_at.';
COMMENT ON COLUMN reporting.kept_days.checked_at IS 'When retention looked last.';
