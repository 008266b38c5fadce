-- A function, so that the days of raw.events are not planned for every batch that has no need of
-- them.
CREATE OR REPLACE FUNCTION processed.stored_now(id uuid, day date) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RETURN EXISTS (SELECT FROM raw.events e
                   WHERE e.event_id = id AND e.event_date = day AND e.loaded_at = now());
END
$body$;
COMMENT ON FUNCTION processed.stored_now(uuid, date) IS
    'Whether this transaction has stored the event.';
