-- This is a function so that PostgreSQL plans a scan of events only for batches that need it. A
-- plan for any day would lock all days.
CREATE OR REPLACE FUNCTION processed.stored_now(id uuid, day date) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan AS $body$
BEGIN
    RETURN EXISTS (SELECT FROM raw.event_rows e
                   WHERE e.event_id = id AND e.event_date = day AND e.loaded_at = now());
END
$body$;
COMMENT ON FUNCTION processed.stored_now(uuid, date) IS
    'Whether this transaction has stored the event.';
