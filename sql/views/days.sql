-- The days that raw.events has, from the names of its partitions. This view reads no partition. The
-- CASE keeps a condition on event_date from reading the names of other relations as days.
CREATE OR REPLACE VIEW mart.event_days AS
SELECT CASE WHEN c.relname ~ '^events_[0-9]{4}_[0-9]{2}_[0-9]{2}$'
            THEN to_date(substr(c.relname, 8), 'YYYY_MM_DD') END AS event_date,
       c.oid AS partition
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'raw.event_rows'::regclass;
COMMENT ON VIEW mart.event_days IS 'The UTC days that raw.events has a partition of.';
