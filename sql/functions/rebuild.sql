-- reporting.rebuild() builds the mart again: the cubes by plain GROUP BY over raw.events, all other
-- tables by plain GROUP BY over the cubes. It shares only mart.step, mart.session_outcome,
-- mart.merge_products and mart.follow_stages with the refresh. Both must give the same rows.

CREATE OR REPLACE FUNCTION reporting.rebuild() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
SET enable_hashjoin = on SET enable_mergejoin = on SET jit = off SET work_mem = '256MB'
AS $body$
DECLARE
    raw_from date;
BEGIN
    PERFORM pg_advisory_xact_lock(mart.lock_reporting());
    PERFORM mart.follow_stages(); -- for days that raw.events has dropped
    SELECT s.raw_from INTO raw_from FROM mart.state s;
    TRUNCATE mart.new_events, mart.new_products;
    PERFORM mart.take_all_events(raw_from);
    ANALYZE mart.new_events;
    DELETE FROM mart.hour_totals WHERE event_date >= raw_from;
    DELETE FROM mart.product_days WHERE event_date >= raw_from;
    DELETE FROM mart.session_days WHERE event_date >= raw_from;
    DELETE FROM mart.session_steps WHERE event_date >= raw_from;
    PERFORM mart.add_dates(ARRAY(SELECT DISTINCT event_date FROM mart.new_events));
    PERFORM mart.rebuild_cubes();
    PERFORM mart.rebuild_from_cubes();
    PERFORM mart.rebuild_offsets();
    PERFORM mart.rebuild_long_sessions();
    PERFORM mart.rebuild_buyers();
    PERFORM mart.rebuild_cohorts();
    PERFORM mart.rebuild_product_hours();
    PERFORM mart.rebuild_product_sales();
    PERFORM mart.rebuild_visits();
    PERFORM mart.rebuild_conversions();
    PERFORM mart.rebuild_sums();
    PERFORM mart.rebuild_layers();
    PERFORM mart.rebuild_funnels();
    PERFORM mart.rebuild_shopping();
    TRUNCATE mart.new_events, mart.new_products;
    UPDATE mart.state SET rebuilt_at = now(), refreshed_at = now();
    PERFORM reporting.measure_quality(true);
END
$body$;
COMMENT ON FUNCTION reporting.rebuild() IS
    'Builds the complete mart again from raw.events and processed.session_funnels, in one '
    'transaction; until it ends, readers see the old mart. Only for a mart that is in doubt: '
    'refreshing gives the same result. Loading continues meanwhile.';

-- A day of more than 16 MB, about 120,000 events, is read directly, and its locks stay.
CREATE OR REPLACE FUNCTION mart.take_all_events(raw_from date) RETURNS void
    LANGUAGE plpgsql AS $body$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT event_date, coalesce(pg_relation_size(max(d.partition)), 0) <= 16777216 AS few
        FROM mart.event_days d FULL JOIN (SELECT DISTINCT event_date
                                          FROM processed.load_batches) AS b USING (event_date)
        WHERE event_date >= raw_from GROUP BY 1 ORDER BY 1
    LOOP
        PERFORM mart.take_day(one.event_date, one.few);
    END LOOP;
END
$body$;
COMMENT ON FUNCTION mart.take_all_events(date) IS
    'Reads all events since a day into mart.new_events, and deletes their notes.';

-- One statement has one snapshot: it finds the notes of exactly the events that it reads. Notes are
-- deleted only under the lock of the reports, so their places stay valid.
CREATE OR REPLACE FUNCTION mart.take_day(day date, few boolean) RETURNS void
    LANGUAGE plpgsql AS $body$
DECLARE
    query text := mart.events_query(day);
    noted tid[];
    found mart.new_events[];
BEGIN
    IF NOT few THEN
        EXECUTE format('WITH gone AS (DELETE FROM processed.load_batches WHERE event_date = %L) '
                       'INSERT INTO mart.new_events %s', day, query);
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('SELECT (SELECT array_agg(ctid) FROM processed.load_batches '
                       'WHERE event_date = %L), (SELECT array_agg(ROW(r.*)::mart.new_events) '
                       'FROM (%s) AS r)', day, query) INTO noted, found;
        PERFORM mart.release_locks();
    EXCEPTION WHEN SQLSTATE 'FNL01' THEN NULL;
    END;
    INSERT INTO mart.new_events SELECT * FROM unnest(found);
    DELETE FROM processed.load_batches WHERE ctid = ANY (noted);
END
$body$;

CREATE OR REPLACE FUNCTION mart.rebuild_cubes() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.hour_totals
    SELECT event_date, hour, count(*), count(*) FILTER (WHERE event_type = 'view'),
           count(*) FILTER (WHERE event_type = 'cart'),
           count(*) FILTER (WHERE event_type = 'remove_from_cart'),
           count(*) FILTER (WHERE event_type = 'checkout'),
           count(*) FILTER (WHERE event_type = 'purchase'),
           coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0),
           count(*) FILTER (WHERE without_category), count(*) FILTER (WHERE without_brand),
           count(*) FILTER (WHERE price IS NULL),
           count(*) FILTER (WHERE without_session), count(*) FILTER (WHERE price = 0),
           max(event_time)
    FROM mart.new_events GROUP BY event_date, hour;

    INSERT INTO mart.product_days
    SELECT event_date, product_id, category, brand, price,
           sum((event_type = 'view')::int), sum((event_type = 'cart')::int),
           sum((event_type = 'remove_from_cart')::int),
           sum((event_type = 'checkout')::int), sum((event_type = 'purchase')::int),
           sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END), min(event_time),
           max(event_time)
    FROM mart.new_events GROUP BY event_date, product_id, category, brand, price;

    INSERT INTO mart.session_days
    SELECT session_id, event_date, user_id,
           sum((event_type = 'view')::int), sum((event_type = 'cart')::int),
           sum((event_type = 'remove_from_cart')::int),
           sum((event_type = 'checkout')::int), sum((event_type = 'purchase')::int),
           sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END), min(event_time),
           max(event_time),
           min(event_time) FILTER (WHERE event_type = 'view'),
           max(event_time) FILTER (WHERE event_type = 'view'),
           max(event_time) FILTER (WHERE event_type = 'purchase')
    FROM mart.new_events GROUP BY session_id, event_date, user_id;

    INSERT INTO mart.session_steps
    SELECT s.session_id, s.event_date, s.steps, r.*
    FROM mart.state c, (SELECT session_id, event_date,
                 (array_agg(
                     mart.step(event_time, event_id, event_type, product_id, price)
                     ORDER BY mart.step(event_time, event_id, event_type, product_id, price)
                              COLLATE "C"))[:500] AS steps
          FROM mart.new_events WHERE event_type <> 'view' GROUP BY session_id, event_date) AS s
    JOIN (SELECT session_id, event_date, min(event_time) AS first_view,
                 max(event_time) AS last_view
          FROM mart.new_events WHERE event_type = 'view' GROUP BY session_id, event_date
          UNION ALL
          SELECT session_id, event_date, NULL, NULL FROM mart.new_events
          GROUP BY session_id, event_date HAVING bool_and(event_type <> 'view')) AS v
         USING (session_id, event_date)
    CROSS JOIN LATERAL mart.session_outcome(s.steps, v.first_view, v.last_view, c.stages) AS r;
$$;

CREATE OR REPLACE FUNCTION mart.rebuild_from_cubes() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    DELETE FROM mart.category_days;
    INSERT INTO mart.category_days
    SELECT event_date, category, sum(views), sum(carts), sum(removes), sum(checkouts),
           sum(purchases), sum(revenue)
    FROM mart.product_days GROUP BY 1, 2;
    DELETE FROM reporting.clickstream_metrics;
    INSERT INTO reporting.clickstream_metrics (event_date, category, total_events, total_revenue)
    SELECT event_date, category, views + carts + removes + checkouts + purchases, revenue
    FROM mart.category_days;
    DELETE FROM mart.brand_days;
    INSERT INTO mart.brand_days
    SELECT event_date, brand, sum(views), sum(carts), sum(removes), sum(checkouts), sum(purchases),
           sum(revenue)
    FROM mart.product_days GROUP BY 1, 2;
    DELETE FROM mart.category_brand_days;
    INSERT INTO mart.category_brand_days
    SELECT event_date, category, brand, sum(views), sum(carts), sum(removes), sum(checkouts),
           sum(purchases), sum(revenue)
    FROM mart.product_days GROUP BY 1, 2, 3;
    DELETE FROM mart.price_band_days;
    INSERT INTO mart.price_band_days
    SELECT event_date, mart.price_band(price), sum(views), sum(carts), sum(removes), sum(checkouts),
           sum(purchases), sum(revenue)
    FROM mart.product_days GROUP BY 1, 2;

    DELETE FROM mart.dim_products;
    DELETE FROM mart.dim_categories;
    INSERT INTO mart.new_products SELECT * FROM mart.product_days;
    PERFORM mart.merge_products();
    PERFORM mart.merge_categories();

    DELETE FROM mart.active_users;
    INSERT INTO mart.active_users
    SELECT grain, date_trunc(grain, event_date::timestamp)::date, count(DISTINCT user_id),
           count(DISTINCT user_id) FILTER (
               WHERE date_trunc(grain, event_date::timestamp)
                     = date_trunc(grain, first_day::timestamp))
    FROM (SELECT DISTINCT user_id, event_date, min(event_date) OVER (PARTITION BY user_id)
                     AS first_day
          FROM mart.session_days) AS d
    CROSS JOIN unnest(ARRAY['day', 'week', 'month']) AS grain GROUP BY 1, 2;

    DELETE FROM mart.dim_users;
    INSERT INTO mart.dim_users (user_id, user_key, first_seen, last_seen, events, carts, purchases,
                                spend, sessions, orders, last_purchase, days)
    SELECT user_id, mart.pseudonym('user', user_id::text), min(first_time), max(last_time),
           sum(views + carts + removes + checkouts + purchases),
           sum(carts), sum(purchases), sum(revenue), count(DISTINCT session_id),
           count(DISTINCT session_id) FILTER (WHERE purchases > 0), max(last_purchase),
           CASE WHEN min(event_date) < max(event_date)
                THEN array_agg(DISTINCT event_date ORDER BY event_date) END
    FROM mart.session_days GROUP BY user_id;

    DELETE FROM mart.day_totals;
    DELETE FROM mart.journey_days;
    INSERT INTO mart.day_totals
    SELECT event_date, count(*), count(*) FILTER (WHERE views > 0),
           count(*) FILTER (WHERE carts > 0), count(*) FILTER (WHERE purchases > 0),
           count(*) FILTER (WHERE stage >= 2), count(*) FILTER (WHERE stage >= 3),
           count(*) FILTER (WHERE abandoned_items > 0),
           sum(abandoned_items), sum(abandoned_value),
           count(*) FILTER (WHERE views > 0 AND purchases > 0),
           count(*) FILTER (WHERE view_purchase),
           count(*) FILTER (WHERE stage >= 2 AND purchases > 0),
           count(checkout_items), count(*) FILTER (WHERE checkout_items > 0),
           coalesce(sum(checkout_items), 0), coalesce(sum(checkout_value), 0)
    FROM mart.session_states GROUP BY event_date;
    PERFORM mart.rebuild_stage_days();
    PERFORM mart.rebuild_user_levels();
    INSERT INTO mart.journey_days
    SELECT event_date, path, count(*), count(*) FILTER (WHERE purchases > 0), sum(revenue)
    FROM mart.session_states GROUP BY event_date, path;
END
$body$;

CREATE OR REPLACE FUNCTION mart.rebuild_visits() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    DELETE FROM mart.visit_days;
    DELETE FROM mart.visit_hours;
    -- One statement, so that the visits and the notes of their changes have the same snapshot.
    EXECUTE format($sql$
        WITH gone AS (
            DELETE FROM processed.visit_deltas
        ), sums (visit_date, entry_category, furthest_stage, left_after, duration_band, visits,
                 open_visits, viewing_visits, carting_visits, buying_visits, abandoned_visits,
                 events, purchases, revenue, duration_ms, hour) AS MATERIALIZED (
            %s
        ), hours AS (
            INSERT INTO mart.visit_hours
            SELECT visit_date, hour, entry_category, furthest_stage, sum(visits), sum(open_visits)
            FROM sums GROUP BY 1, 2, 3, 4
        )
        INSERT INTO mart.visit_days
        SELECT visit_date, entry_category, furthest_stage, left_after, duration_band, sum(visits),
               sum(open_visits), sum(viewing_visits), sum(carting_visits), sum(buying_visits),
               sum(abandoned_visits), sum(events), sum(purchases), sum(revenue), sum(duration_ms)
        FROM sums GROUP BY 1, 2, 3, 4, 5
    $sql$, processed.visit_sums('SELECT 1 AS sign, v.* FROM processed.visit_rows v'));
END
$body$;

CREATE OR REPLACE FUNCTION mart.rebuild_sums() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.segment_totals;
    INSERT INTO mart.segment_totals
    SELECT segment, count(*), sum(sessions), sum(orders), sum(spend)
    FROM mart.dim_users GROUP BY segment;
    DELETE FROM mart.long_orders;
    INSERT INTO mart.long_orders
    SELECT DISTINCT session_id, event_date FROM mart.session_days
    WHERE purchases > 0 AND session_id IN (SELECT session_id FROM mart.session_days
                                            WHERE purchases > 0 GROUP BY session_id
                                            HAVING count(DISTINCT event_date) > 1);
$$;

CREATE OR REPLACE FUNCTION mart.rebuild_layers() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    DELETE FROM mart.day_layers;
    EXECUTE 'WITH gone AS (DELETE FROM processed.late_deltas) INSERT INTO mart.day_layers '
            '(event_date, late_events, late_revenue, visit_late_events, visit_late_revenue) '
            || processed.late_sums('raw.late_events');
    INSERT INTO mart.day_layers (event_date)
    SELECT event_date FROM mart.hour_totals UNION SELECT visit_date FROM mart.visit_days
    ON CONFLICT DO NOTHING;
    DELETE FROM mart.reconciliations r
    WHERE check_name IN ('day events', 'day revenue', 'visit events', 'visit revenue')
          AND NOT EXISTS (SELECT FROM mart.day_layers d WHERE d.event_date::text = r.subject);
    IF (SELECT raw_from FROM mart.state) = '-infinity' THEN
        UPDATE mart.partition_layers t
        SET events = coalesce(e.events, 0), last_offset = coalesce(e.last_offset, -1), base = NULL,
            target_offset = NULL
        FROM mart.partition_layers p
        LEFT JOIN (SELECT raw_partition, count(*) AS events, max(raw_offset) AS last_offset
                   FROM mart.new_events GROUP BY 1) AS e ON e.raw_partition = p.partition
        WHERE t.partition = p.partition;
    ELSE
        UPDATE mart.partition_layers SET base = NULL, rebased = true, target_offset = NULL;
    END IF;
    PERFORM mart.reconcile(false);
END
$body$;
