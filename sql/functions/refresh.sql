-- reporting.refresh() adds what is new to the mart.
--
--   pg-loader, or processed.note_events(): raw.events, and processed.load_batches with the sums
--       -> refresh -> cubes -> dimensions and totals -> views of reporting
--   processed.visit_rows -> trigger -> processed.visit_deltas -> refresh -> mart.visit_days
--
-- How a refresh finds new events. loaded_at alone is not a watermark, because transactions of
-- several loaders may commit in another order than they began. So each transaction that stores
-- events also stores their sums, one row per day in processed.load_batches. A refresh adds up the
-- rows that it can see and deletes them. It does not read raw.events. (The comment of
-- tables/0003_mart.sql describes the first version, where a trigger noted numbers of events.)
--
-- It adds up the sums that loaders have stored with their events (new_products, new_sessions), and
-- merges them into cubes, dimensions and totals. product_days, category_brand_days and session_days
-- have no unique key: MERGE or a look-up finds their rows. Every merge is a sum, a minimum, a
-- maximum, a union, or the latest by a total order. So neither the order of events nor their
-- division into batches and refreshes matters. Distinct sessions, paths, stages and abandoned carts
-- cannot be merged like this. For them, the refresh subtracts what each touched session and day
-- contributed before the merge, and adds what it contributes after it.
--
-- reporting.rebuild() (rebuild.sql) computes the same in another way. Both must give the same
-- rows.

CREATE OR REPLACE FUNCTION mart.lock_reporting() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('funnel reporting', 0) $$;

CREATE OR REPLACE FUNCTION reporting.refresh(
    max_events bigint DEFAULT 1500000,
    OUT events_counted bigint, OUT events_waiting bigint, OUT breaches bigint,
    OUT refreshed boolean, OUT differences bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
SET enable_hashjoin = on SET enable_mergejoin = off SET jit = off SET work_mem = '64MB'
AS $body$
BEGIN
    events_counted := 0;
    refreshed := pg_try_advisory_xact_lock(mart.lock_reporting());
    IF NOT refreshed THEN -- another call is running
        RETURN;
    END IF;
    PERFORM mart.follow_stages();
    PERFORM mart.count_visits();
    IF EXISTS (SELECT FROM processed.load_batches) THEN
        events_counted := mart.take_batches(max_events);
        PERFORM mart.count_partitions();
        PERFORM mart.count_offsets();
        PERFORM mart.count_hours();
        PERFORM mart.count_products();
        PERFORM mart.count_product_hours();
        PERFORM mart.count_sessions();
        PERFORM mart.note_funnel_days();
        PERFORM mart.note_shopping_days();
        PERFORM mart.drop_batches();
    END IF;
    events_waiting := (SELECT coalesce(sum(events), 0) FROM processed.load_batches);
    UPDATE mart.state SET refreshed_at = now();
    IF events_waiting = 0 THEN
        PERFORM mart.refresh_segments();
        PERFORM mart.refresh_funnels();
    END IF;
    IF events_counted < max_events THEN -- on a steady stream, some events always wait
        PERFORM mart.refresh_shopping();
    END IF;
    PERFORM mart.reconcile(false);
    -- A breach may be temporary (counts that arrive before their dead letters), so it is checked
    -- again after a minute.
    PERFORM reporting.measure_quality(events_waiting = 0 AND (
        SELECT coalesce(quality_at < now() - CASE
            WHEN EXISTS (SELECT FROM reporting.data_quality_breaches) THEN interval '1 minute'
            ELSE interval '1 hour' END, true)
        FROM mart.state));
    PERFORM mart.evaluate_alerts();
    breaches := (SELECT count(*) FROM reporting.data_quality_breaches);
    differences := (SELECT count(*) FROM mart.reconciliations WHERE state = 'differs');
END
$body$;
COMMENT ON FUNCTION reporting.refresh(bigint) IS
    'Counts up to max_events events that are stored and not yet in the reports, and all changes of '
    'visits, in one transaction. Call it again while events_waiting is not 0; the call that '
    'returns 0 also completes segments. breaches: rows of data_quality_breaches. differences: rows '
    'of reporting.reconciliation that differ. refreshed: false if another call was running, which '
    'does the work.';
