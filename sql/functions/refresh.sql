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
--
-- Reports that are not sums take long, up to a minute after a month of events. refresh_slow()
-- counts them, in a transaction of its own, so that readers see the sums before.

CREATE OR REPLACE FUNCTION mart.lock_reporting() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('funnel reporting', 0) $$;

-- Sums and segments, of which reporting.waiting() says how much is left.
CREATE OR REPLACE FUNCTION mart.refresh_sums(
    max_events bigint, OUT events_counted bigint, OUT events_waiting bigint)
LANGUAGE plpgsql AS $body$
BEGIN
    events_counted := 0;
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
    END IF;
END
$body$;

-- These take long: named funnels; buyers, paths and baskets; measures that read complete tables. A
-- breach may be temporary (counts that arrive before their dead letters), so the measures are taken
-- again after a minute.
CREATE OR REPLACE FUNCTION mart.refresh_slow(events_waiting bigint) RETURNS void
LANGUAGE plpgsql AS $body$
BEGIN
    IF events_waiting = 0 THEN
        PERFORM mart.refresh_funnels();
    END IF;
    PERFORM mart.refresh_shopping();
    IF events_waiting = 0 AND (
            SELECT coalesce(quality_at < now() - CASE
                WHEN EXISTS (SELECT FROM reporting.data_quality_breaches) THEN interval '1 minute'
                ELSE interval '1 hour' END, true)
            FROM mart.state) THEN
        PERFORM reporting.measure_quality(true);
    END IF;
END
$body$;

CREATE OR REPLACE FUNCTION reporting.refresh_sums(
    max_events bigint DEFAULT 3000000,
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
    SELECT s.events_counted, s.events_waiting INTO events_counted, events_waiting
    FROM mart.refresh_sums(max_events) s;
    PERFORM mart.reconcile(false);
    PERFORM reporting.measure_quality(false);
    PERFORM mart.evaluate_alerts();
    breaches := (SELECT count(*) FROM reporting.data_quality_breaches);
    differences := (SELECT count(*) FROM mart.reconciliations WHERE state = 'differs');
END
$body$;
COMMENT ON FUNCTION reporting.refresh_sums(bigint) IS
    'Counts up to max_events events that are stored and not yet in the reports, and all changes of '
    'visits, in one transaction. Call it again while events_waiting is not 0; the call that '
    'returns 0 also completes segments. breaches: rows of data_quality_breaches. differences: rows '
    'of reporting.reconciliation that differ. refreshed: false if another call was running, which '
    'does the work. Named funnels, and buyers, paths and baskets, follow by refresh_slow().';

CREATE OR REPLACE FUNCTION reporting.refresh_slow(
    events_waiting bigint DEFAULT 0, OUT refreshed boolean, OUT breaches bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
SET enable_hashjoin = on SET enable_mergejoin = off SET jit = off SET work_mem = '64MB'
AS $body$
BEGIN
    refreshed := pg_try_advisory_xact_lock(mart.lock_reporting());
    IF NOT refreshed THEN -- another call is running
        RETURN;
    END IF;
    PERFORM mart.refresh_slow(events_waiting);
    PERFORM mart.evaluate_alerts();
    breaches := (SELECT count(*) FROM reporting.data_quality_breaches);
END
$body$;
COMMENT ON FUNCTION reporting.refresh_slow(bigint) IS
    'Call it after refresh_sums(), with its events_waiting. Counts named funnels, unless events '
    'waited, and buyers, paths and baskets, if they are due: about a second, and the day that it '
    'has begun. Once an hour, also measures the quality of complete tables, unless events waited. '
    'refreshed: false if another refresh was running; then call it again.';

CREATE OR REPLACE FUNCTION reporting.refresh(
    max_events bigint DEFAULT 3000000,
    OUT events_counted bigint, OUT events_waiting bigint, OUT breaches bigint,
    OUT refreshed boolean, OUT differences bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    SELECT s.* INTO events_counted, events_waiting, breaches, refreshed, differences
    FROM reporting.refresh_sums(max_events) s;
    -- On a steady stream, some events always wait.
    IF refreshed AND (events_counted < max_events OR events_waiting = 0) THEN
        SELECT s.breaches INTO breaches FROM reporting.refresh_slow(events_waiting) s;
    END IF;
END
$body$;
COMMENT ON FUNCTION reporting.refresh(bigint) IS
    'Does refresh_sums(), with its result, and then refresh_slow(), unless max_events events were '
    'counted and more wait, in one transaction. Call it again while events_waiting is not 0. '
    'pg-loader calls the two in a transaction each, so that readers see the sums sooner.';
