-- The newest event is at or after the start of the newest minute with events, which the BRIN index
-- of the events finds. Visits are searched from three hours before that minute. If none of them
-- reaches the minute, they are searched from a day before, because a visit ends within its day.
-- This is a function so that the planner knows the times, and so that JIT is off.
CREATE OR REPLACE FUNCTION reporting.freshness_of_layers()
    RETURNS TABLE (layer text, newest_data timestamptz, last_change timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET jit = off AS $body$
DECLARE
    newest record;
    since  timestamptz;
BEGIN
    SELECT a.window_start, a.loaded_at INTO newest FROM processed.funnel_aggregates a
    WHERE rollup = '1m:all' ORDER BY a.window_start DESC LIMIT 1;
    layer := 'events';
    EXECUTE format('SELECT max(event_time), max(loaded_at) FROM raw.events '
                   'WHERE event_date >= %L AND event_time >= %L',
                   (newest.window_start AT TIME ZONE 'UTC')::date, newest.window_start)
    INTO newest_data, last_change;
    last_change := greatest(last_change, (SELECT newest_load FROM mart.state),
                            (SELECT max(b.loaded_at) FROM processed.load_batches b));
    RETURN NEXT;
    layer := 'rollups';
    newest_data := newest.window_start;
    last_change := newest.loaded_at;
    RETURN NEXT;
    layer := 'visits';
    FOREACH since IN ARRAY ARRAY[newest.window_start - interval '3 hours',
                                 date_trunc('day', newest.window_start, 'UTC')
                                     - interval '1 day'] LOOP
        EXECUTE format('SELECT max(visit_end), max(loaded_at) FROM processed.session_funnels '
                       'WHERE visit_start >= %L', since) INTO newest_data, last_change;
        EXIT WHEN newest_data >= newest.window_start;
    END LOOP;
    RETURN NEXT;
    layer := 'counts';
    newest_data := NULL;
    last_change := (SELECT max(updated_at) FROM processed.counts);
    RETURN NEXT;
END
$body$;
COMMENT ON FUNCTION reporting.freshness_of_layers() IS 'The rows of reporting.freshness.';
