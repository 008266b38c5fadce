-- Makes the day's partition where it is missing. Safe to call by many at once: one advisory lock,
-- held to the end of the caller's transaction, lets one creator through at a time, and the usual
-- case (it exists) takes no lock. CREATE TABLE ... PARTITION OF would lock out every reader and
-- writer of raw.events; ATTACH PARTITION of a table made beforehand lets them go on. Needs READ
-- COMMITTED (the default), where the second look sees what another made.
CREATE OR REPLACE FUNCTION raw.ensure_event_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $body$
DECLARE
    partition_name text := 'events_' || to_char(day, 'YYYY_MM_DD');
BEGIN
    IF day IS NULL OR NOT isfinite(day) THEN
        RAISE EXCEPTION 'raw.ensure_event_partition: a day is needed, not %',
            coalesce(day::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
               WHERE c.relname = partition_name AND i.inhparent = 'raw.events'::regclass) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('raw.ensure_event_partition', 0));
    -- Not to_regclass(): it may answer from a cache that is as old as the first look.
    IF EXISTS (SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
               WHERE c.relname = partition_name AND i.inhparent = 'raw.events'::regclass) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE raw.%I (LIKE raw.events INCLUDING DEFAULTS '
                   'INCLUDING CONSTRAINTS INCLUDING INDEXES)', partition_name);
    EXECUTE format('ALTER TABLE raw.events ATTACH PARTITION raw.%I FOR VALUES FROM (%L) TO (%L)',
                   partition_name, day, day + 1);
END
$body$;
COMMENT ON FUNCTION raw.ensure_event_partition(date) IS
    'Makes the partition of raw.events for one UTC day where it is missing. Idempotent, safe '
    'under concurrency.';
