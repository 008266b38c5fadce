-- A function, so that PostgreSQL does not plan all days of raw.events for batches that need none.
CREATE OR REPLACE FUNCTION processed.stored_now(id uuid, day date) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RETURN EXISTS (SELECT FROM raw.events e
                   WHERE e.event_id = id AND e.event_date = day AND e.loaded_at = now());
END
$body$;
COMMENT ON FUNCTION processed.stored_now(uuid, date) IS
    'Whether this transaction has stored the event.';
