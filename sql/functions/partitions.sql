-- Creates the partition of a day if it is missing. Many callers may run at once: an advisory lock,
-- held to the end of the caller's transaction, lets one of them create partitions at a time. If the
-- partition exists, which is the usual case, no lock is taken. CREATE TABLE ... PARTITION OF would
-- lock out every reader and writer of events; creating a table and then ATTACH PARTITION does
-- not. Needs READ COMMITTED (the default), so that the second check sees a partition that another
-- caller has created.
CREATE OR REPLACE FUNCTION raw.ensure_event_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $body$
DECLARE
    partition_name text := 'events_' || to_char(day, 'YYYY_MM_DD');
    one            record;
BEGIN
    IF day IS NULL OR NOT isfinite(day) THEN
        RAISE EXCEPTION 'raw.ensure_event_partition: a day is needed, not %',
            coalesce(day::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
               WHERE c.relname = partition_name AND i.inhparent = 'raw.event_rows'::regclass) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('raw.ensure_event_partition', 0));
    -- Not to_regclass(): its cache may be from before the lock.
    IF EXISTS (SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
               WHERE c.relname = partition_name AND i.inhparent = 'raw.event_rows'::regclass) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE raw.%I (LIKE raw.event_rows INCLUDING DEFAULTS '
                   'INCLUDING CONSTRAINTS INCLUDING INDEXES)', partition_name);
    -- LIKE does not copy them.
    FOR one IN SELECT attname, attstattarget FROM pg_attribute
               WHERE attrelid = 'raw.event_rows'::regclass AND attnum > 0 AND NOT attisdropped
                     AND attstattarget >= 0 LOOP
        EXECUTE format('ALTER TABLE raw.%I ALTER %I SET STATISTICS %s', partition_name,
                       one.attname, one.attstattarget);
    END LOOP;
    EXECUTE format('ALTER TABLE raw.event_rows ATTACH PARTITION raw.%I FOR VALUES FROM (%L) TO '
                   '(%L)', partition_name, day, day + 1);
END
$body$;
COMMENT ON FUNCTION raw.ensure_event_partition(date) IS
    'Makes the partition of raw.event_rows for one UTC day where it is missing. Idempotent, safe '
    'under concurrency.';
