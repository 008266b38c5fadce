-- Keeping the mart up to date: reporting.refresh() adds what is new, reporting.rebuild() makes all of it anew.
--
-- Refresh: take noted batches -> mart.new_events -> sums of the new (new_products, new_sessions) -> merge into cubes,
-- dimensions and totals. Every merge is a sum, a minimum, a maximum, a union, or the latest by a total order, so neither the order of
-- events nor the cut into refreshes matters. What is not (distinct sessions, paths, stages, abandoned carts) is taken per session and
-- day: the contribution before the merge is subtracted, the one after it is added.
--
-- Rebuild says the same the other way round: cubes by plain GROUP BY over raw.events, all else by plain GROUP BY over the cubes.
-- It shares only mart.session_outcome and mart.touched_state with the refresh. Both must give the same rows.

-- ---------------------------------------------------------------- pieces of both
CREATE FUNCTION mart.lock_reporting() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT hashtextextended('funnel reporting', 0) $$;

CREATE FUNCTION mart.step(event_time timestamptz, event_id uuid, event_type text, product_id bigint, price numeric) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT concat_ws('|', to_char(event_time AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS'), event_id, event_type, product_id, coalesce(price::text, '')) $$;

-- The union of two lists of steps, sorted, its first 500. Cutting keeps it a union: what is cut now would be cut later.
CREATE FUNCTION mart.merge_steps(a text[], b text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT array_agg(s ORDER BY s COLLATE "C") FROM (SELECT s FROM (SELECT unnest(a) UNION SELECT unnest(b)) AS u(s) ORDER BY s COLLATE "C" LIMIT 500) AS l $$;

CREATE FUNCTION mart.session_outcome(steps text[], first_view timestamptz, last_view timestamptz,
                                     OUT path text, OUT stage smallint, OUT abandoned_items bigint, OUT abandoned_value numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    first_view_at text := to_char(first_view AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS');
    last_view_at  text := to_char(last_view AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS');
    first_cart_at text;
    shown         text[] := '{}';
    previous      text := '';
    one           text;
    part          text[];
BEGIN
    stage := (first_view IS NOT NULL)::int;
    FOREACH one IN ARRAY steps LOOP
        part := string_to_array(one, '|');
        IF part[3] <> previous THEN
            shown := shown || part[3];
            previous := part[3];
        END IF;
        IF part[3] = 'cart' AND part[1] >= first_view_at AND first_cart_at IS NULL THEN
            first_cart_at := part[1];
            stage := greatest(stage, 2);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM unnest(steps) AS s WHERE split_part(s, '|', 3) = 'purchase' AND split_part(s, '|', 1) >= first_cart_at) THEN
        stage := 3;
    END IF;
    path := array_to_string(shown[:8], ' > ') || CASE WHEN cardinality(shown) > 8 THEN ' > ...' ELSE '' END;
    IF first_view_at < split_part(steps[1], '|', 1) THEN
        path := 'view > ' || path;
    END IF;
    IF last_view_at > split_part(steps[cardinality(steps)], '|', 1) THEN
        path := path || ' > view';
    END IF;
    SELECT count(*), coalesce(sum(nullif(split_part(last_step, '|', 5), '')::numeric), 0) INTO abandoned_items, abandoned_value
    FROM (SELECT max(s COLLATE "C") AS last_step FROM unnest(steps) AS s
          WHERE split_part(s, '|', 3) IN ('cart', 'remove_from_cart', 'purchase') GROUP BY split_part(s, '|', 4)) AS by_product
    WHERE split_part(last_step, '|', 3) = 'cart';
END
$body$;

-- What each touched session and day contributes to day totals and journeys.
CREATE VIEW mart.touched_state AS
SELECT t.event_date, coalesce(s.path, 'view') AS path, coalesce(s.stage, 1::smallint) AS stage,
       d.views, d.carts, d.purchases, d.revenue,
       coalesce(s.abandoned_items, 0) AS abandoned_items, coalesce(s.abandoned_value, 0) AS abandoned_value
FROM mart.touched t
CROSS JOIN LATERAL (SELECT sum(views)::bigint AS views, sum(carts)::bigint AS carts, sum(purchases)::bigint AS purchases, sum(revenue) AS revenue
                    FROM mart.session_days WHERE session_key = t.session_key AND event_date = t.event_date HAVING count(*) > 0) d
LEFT JOIN mart.session_steps s ON s.session_key = t.session_key AND s.event_date = t.event_date;

CREATE FUNCTION mart.pseudonym(kind text, id text) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || kind || ':' || id, 'UTF8')), 'hex'), 20) $$;
COMMENT ON FUNCTION mart.pseudonym(text, text) IS 'Stable pseudonym of a user (kind user) or session (kind session). Not for analysts: who can call it can try ids.';

-- ---------------------------------------------------------------- refresh: what is new
-- Takes batches of up to max_events events (at least one batch) and their events. Returns how many events.
CREATE FUNCTION mart.take_events(max_events bigint) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    one   record;
    taken bigint := 0;
    found bigint := 0;
    rows  bigint;
BEGIN
    TRUNCATE mart.new_batches, mart.new_events;
    WITH first AS (
        SELECT ctid FROM (SELECT b.ctid, sum(events) OVER (ORDER BY loaded_at, event_date, raw_partition, b.ctid) - events AS before
                          FROM processed.load_batches b) AS running
        WHERE before < max_events
    ), gone AS (
        DELETE FROM processed.load_batches b USING first WHERE b.ctid = first.ctid RETURNING b.*
    )
    INSERT INTO mart.new_batches SELECT loaded_at, event_date, raw_partition, sum(events) FROM gone GROUP BY 1, 2, 3;
    ANALYZE mart.new_batches;
    FOR one IN SELECT event_date, min(loaded_at) AS low, max(loaded_at) AS high, sum(events) AS events FROM mart.new_batches GROUP BY 1 LOOP
        -- As constants, so that the planner looks at one day's partition and one range of it.
        EXECUTE format($sql$
            INSERT INTO mart.new_events
            SELECT e.event_date, extract(hour FROM e.event_time AT TIME ZONE 'UTC'), e.event_time, e.event_id, e.event_type, e.product_id,
                   coalesce(e.category_code, 'unknown'), coalesce(e.brand, 'unknown'), e.price, e.user_id,
                   coalesce(e.user_session, 'user:' || e.user_id),
                   e.category_code IS NULL, e.brand IS NULL, e.user_session IS NULL
            FROM raw.events e JOIN mart.new_batches b USING (event_date, raw_partition, loaded_at)
            WHERE e.event_date = %1$L AND e.loaded_at BETWEEN %2$L AND %3$L
        $sql$, one.event_date, one.low, one.high);
        GET DIAGNOSTICS rows = ROW_COUNT;
        taken := taken + one.events;
        found := found + rows;
    END LOOP;
    ANALYZE mart.new_events;
    IF found > taken THEN
        RAISE EXCEPTION 'reporting.refresh: % events were noted as stored, % are there: run reporting.rebuild()', taken, found;
    ELSIF found < taken THEN
        UPDATE mart.state SET lost_events = lost_events + taken - found;
    END IF;
    UPDATE mart.state SET newest_load = greatest(newest_load, (SELECT max(loaded_at) FROM mart.new_batches));
    PERFORM mart.add_dates(ARRAY(SELECT DISTINCT event_date FROM mart.new_batches));
    RETURN taken;
END
$body$;

CREATE FUNCTION mart.count_hours() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.hour_totals AS t
    SELECT event_date, hour, count(*), count(*) FILTER (WHERE event_type = 'view'), count(*) FILTER (WHERE event_type = 'cart'),
           count(*) FILTER (WHERE event_type = 'remove_from_cart'), count(*) FILTER (WHERE event_type = 'checkout'),
           count(*) FILTER (WHERE event_type = 'purchase'), coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0),
           count(*) FILTER (WHERE without_category), count(*) FILTER (WHERE without_brand), count(*) FILTER (WHERE price IS NULL),
           count(*) FILTER (WHERE without_session), count(*) FILTER (WHERE price = 0), max(event_time)
    FROM mart.new_events GROUP BY event_date, hour
    ON CONFLICT (event_date, hour) DO UPDATE SET
        events = t.events + excluded.events, views = t.views + excluded.views, carts = t.carts + excluded.carts,
        removes = t.removes + excluded.removes, checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases,
        revenue = t.revenue + excluded.revenue, without_category = t.without_category + excluded.without_category,
        without_brand = t.without_brand + excluded.without_brand, without_price = t.without_price + excluded.without_price,
        without_session = t.without_session + excluded.without_session, zero_price = t.zero_price + excluded.zero_price,
        newest_event = greatest(t.newest_event, excluded.newest_event)
$$;

-- ---------------------------------------------------------------- refresh: products
CREATE FUNCTION mart.count_products() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    TRUNCATE mart.new_products;
    INSERT INTO mart.new_products
    SELECT event_date, product_id, category, brand, price,
           count(*) FILTER (WHERE event_type = 'view'), count(*) FILTER (WHERE event_type = 'cart'),
           count(*) FILTER (WHERE event_type = 'remove_from_cart'), count(*) FILTER (WHERE event_type = 'checkout'),
           count(*) FILTER (WHERE event_type = 'purchase'), coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0),
           min(event_time), max(event_time)
    FROM mart.new_events GROUP BY event_date, product_id, category, brand, price;
    ANALYZE mart.new_products;

    INSERT INTO mart.product_days AS t SELECT * FROM mart.new_products
    ON CONFLICT (product_id, event_date, category, brand, price) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts, removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue,
        first_time = least(t.first_time, excluded.first_time), last_time = greatest(t.last_time, excluded.last_time);

    INSERT INTO mart.category_days AS t
    SELECT event_date, category, sum(views), sum(carts), sum(removes), sum(checkouts), sum(purchases), sum(revenue)
    FROM mart.new_products GROUP BY event_date, category
    ON CONFLICT (event_date, category) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts, removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue;

    INSERT INTO reporting.clickstream_metrics AS t (event_date, category, total_events, total_revenue)
    SELECT event_date, category, sum(views + carts + removes + checkouts + purchases), sum(revenue)
    FROM mart.new_products GROUP BY event_date, category
    ON CONFLICT (category, event_date) DO UPDATE SET
        total_events = t.total_events + excluded.total_events, total_revenue = t.total_revenue + excluded.total_revenue;

    INSERT INTO mart.brand_days AS t
    SELECT event_date, brand, sum(views), sum(carts), sum(removes), sum(checkouts), sum(purchases), sum(revenue)
    FROM mart.new_products GROUP BY event_date, brand
    ON CONFLICT (event_date, brand) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts, removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue;

    INSERT INTO mart.price_band_days AS t
    SELECT event_date, mart.price_band(price), sum(views), sum(carts), sum(removes), sum(checkouts), sum(purchases), sum(revenue)
    FROM mart.new_products GROUP BY event_date, mart.price_band(price)
    ON CONFLICT (event_date, band) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts, removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue;

    PERFORM mart.merge_products();
    PERFORM mart.merge_categories();
END
$body$;

-- From new_products, whose rows a rebuild takes from the whole cube. Latest: by time, then by category, brand and price.
CREATE FUNCTION mart.merge_products() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.dim_products AS t
    SELECT DISTINCT ON (product_id) product_id, category, brand, price,
           min(first_time) OVER (PARTITION BY product_id), last_time
    FROM mart.new_products
    ORDER BY product_id, last_time DESC, category COLLATE "C" DESC, brand COLLATE "C" DESC, coalesce(price, -1) DESC
    ON CONFLICT (product_id) DO UPDATE SET
        first_seen = least(t.first_seen, excluded.first_seen),
        last_seen = greatest(t.last_seen, excluded.last_seen),
        (category, brand, price) = (
            SELECT c, b, p FROM (VALUES (t.last_seen, t.category, t.brand, t.price), (excluded.last_seen, excluded.category, excluded.brand, excluded.price)) AS v(l, c, b, p)
            ORDER BY l DESC, c COLLATE "C" DESC, b COLLATE "C" DESC, coalesce(p, -1) DESC LIMIT 1)
$$;
CREATE FUNCTION mart.merge_categories() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.dim_categories
    SELECT DISTINCT category, split_part(category, '.', 1), nullif(split_part(category, '.', 2), ''), nullif(split_part(category, '.', 3), ''),
           nullif(substr(category, length(split_part(category, '.', 1) || split_part(category, '.', 2) || split_part(category, '.', 3)) + 4), '')
    FROM mart.new_products
    ON CONFLICT DO NOTHING
$$;

-- ---------------------------------------------------------------- refresh: sessions and users
CREATE FUNCTION mart.count_sessions() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    TRUNCATE mart.new_sessions, mart.touched, mart.state_before, mart.state_change;
    INSERT INTO mart.new_sessions
    SELECT session_key, event_date, user_id,
           count(*) FILTER (WHERE event_type = 'view'), count(*) FILTER (WHERE event_type = 'cart'),
           count(*) FILTER (WHERE event_type = 'remove_from_cart'), count(*) FILTER (WHERE event_type = 'checkout'),
           count(*) FILTER (WHERE event_type = 'purchase'), coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0),
           min(event_time), max(event_time), min(event_time) FILTER (WHERE event_type = 'view'), max(event_time) FILTER (WHERE event_type = 'view'),
           max(event_time) FILTER (WHERE event_type = 'purchase')
    FROM mart.new_events GROUP BY session_key, event_date, user_id;
    INSERT INTO mart.touched SELECT DISTINCT session_key, event_date FROM mart.new_sessions;
    ANALYZE mart.new_sessions;
    ANALYZE mart.touched;
    INSERT INTO mart.state_before SELECT * FROM mart.touched_state;

    PERFORM mart.merge_active_users();
    PERFORM mart.merge_users();

    INSERT INTO mart.session_days AS t SELECT * FROM mart.new_sessions
    ON CONFLICT (session_key, event_date, user_id) DO UPDATE SET
        views = t.views + excluded.views, carts = t.carts + excluded.carts, removes = t.removes + excluded.removes,
        checkouts = t.checkouts + excluded.checkouts, purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue,
        first_time = least(t.first_time, excluded.first_time), last_time = greatest(t.last_time, excluded.last_time),
        first_view = least(t.first_view, excluded.first_view), last_view = greatest(t.last_view, excluded.last_view),
        last_purchase = greatest(t.last_purchase, excluded.last_purchase);

    -- New steps, and older ones of sessions whose views have changed.
    WITH steps AS (
        SELECT session_key, event_date, array_agg(mart.step(event_time, event_id, event_type, product_id, price)) AS steps
        FROM mart.new_events WHERE event_type <> 'view' GROUP BY session_key, event_date
    ), merged AS (
        SELECT session_key, event_date, mart.merge_steps(o.steps, n.steps) AS steps
        FROM mart.touched LEFT JOIN mart.session_steps o USING (session_key, event_date) LEFT JOIN steps n USING (session_key, event_date)
        WHERE o.steps IS NOT NULL OR n.steps IS NOT NULL
    )
    INSERT INTO mart.session_steps AS t
    SELECT m.session_key, m.event_date, m.steps, r.*
    FROM merged m
    CROSS JOIN LATERAL (SELECT min(first_view) AS first_view, max(last_view) AS last_view FROM mart.session_days d
                        WHERE d.session_key = m.session_key AND d.event_date = m.event_date) AS v
    CROSS JOIN LATERAL mart.session_outcome(m.steps, v.first_view, v.last_view) AS r
    ON CONFLICT (session_key, event_date) DO UPDATE SET
        steps = excluded.steps, path = excluded.path, stage = excluded.stage,
        abandoned_items = excluded.abandoned_items, abandoned_value = excluded.abandoned_value;

    PERFORM mart.merge_days();
END
$body$;

-- A user is new to a period if no session day of his is in it. Before session_days is merged.
CREATE FUNCTION mart.merge_active_users() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.active_users AS t
    SELECT grain, period_start, count(*)
    FROM (SELECT DISTINCT grain, user_id, date_trunc(grain, event_date::timestamp)::date AS period_start,
                 (date_trunc(grain, event_date::timestamp) + ('1 ' || grain)::interval)::date AS period_end
          FROM mart.new_sessions CROSS JOIN unnest(ARRAY['day', 'week', 'month']) AS grain) AS n
    WHERE NOT EXISTS (SELECT FROM mart.session_days d WHERE d.user_id = n.user_id AND d.event_date >= n.period_start AND d.event_date < n.period_end)
    GROUP BY grain, period_start
    ON CONFLICT (grain, period_start) DO UPDATE SET users = t.users + excluded.users
$$;

-- A session, or an order, is new to a user if no session day of theirs has it. Before session_days is merged.
CREATE FUNCTION mart.merge_users() RETURNS void LANGUAGE sql AS $$
    WITH pair AS (
        SELECT user_id, session_key, min(first_time) AS first_time, max(last_time) AS last_time,
               sum(views + carts + removes + checkouts + purchases) AS events, sum(carts) AS carts, sum(purchases) AS purchases, sum(revenue) AS revenue,
               max(last_purchase) AS last_purchase
        FROM mart.new_sessions GROUP BY user_id, session_key
    ), known AS (
        SELECT p.*, o.sessions AS known_sessions, o.orders AS known_orders
        FROM pair p CROSS JOIN LATERAL (
            SELECT (count(*) > 0)::int AS sessions, (coalesce(sum(purchases), 0) > 0)::int AS orders
            FROM mart.session_days d WHERE d.session_key = p.session_key AND d.user_id = p.user_id) AS o
    )
    INSERT INTO mart.dim_users AS t (user_id, user_key, first_seen, last_seen, events, carts, purchases, spend, sessions, orders, last_purchase)
    SELECT user_id, left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || 'user:' || user_id, 'UTF8')), 'hex'), 20), -- mart.pseudonym, in line for speed
           min(first_time), max(last_time), sum(events), sum(carts), sum(purchases), sum(revenue),
           sum(1 - known_sessions), sum(greatest((purchases > 0)::int - known_orders, 0)), max(last_purchase)
    FROM known GROUP BY user_id
    ON CONFLICT (user_id) DO UPDATE SET
        first_seen = least(t.first_seen, excluded.first_seen), last_seen = greatest(t.last_seen, excluded.last_seen),
        events = t.events + excluded.events, carts = t.carts + excluded.carts, purchases = t.purchases + excluded.purchases,
        spend = t.spend + excluded.spend, sessions = t.sessions + excluded.sessions, orders = t.orders + excluded.orders,
        last_purchase = greatest(t.last_purchase, excluded.last_purchase)
$$;

-- After less before, of the touched sessions and days.
CREATE FUNCTION mart.merge_days() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO mart.state_change SELECT 1, * FROM mart.touched_state UNION ALL SELECT -1, * FROM mart.state_before;
    INSERT INTO mart.day_totals AS t
    SELECT event_date, sum(sign), sum(sign * (views > 0)::int), sum(sign * (carts > 0)::int), sum(sign * (purchases > 0)::int),
           sum(sign * (stage >= 2)::int), sum(sign * (stage >= 3)::int), sum(sign * (abandoned_items > 0)::int),
           sum(sign * abandoned_items), sum(sign * abandoned_value)
    FROM mart.state_change
    GROUP BY event_date
    ON CONFLICT (event_date) DO UPDATE SET
        sessions = t.sessions + excluded.sessions, view_sessions = t.view_sessions + excluded.view_sessions,
        cart_sessions = t.cart_sessions + excluded.cart_sessions, orders = t.orders + excluded.orders,
        funnel_cart_sessions = t.funnel_cart_sessions + excluded.funnel_cart_sessions,
        funnel_purchase_sessions = t.funnel_purchase_sessions + excluded.funnel_purchase_sessions,
        abandoned_sessions = t.abandoned_sessions + excluded.abandoned_sessions,
        abandoned_items = t.abandoned_items + excluded.abandoned_items, abandoned_value = t.abandoned_value + excluded.abandoned_value;

    INSERT INTO mart.journey_days AS t
    SELECT event_date, path, sum(sign), sum(sign * (purchases > 0)::int), sum(sign * revenue)
    FROM mart.state_change
    GROUP BY event_date, path
    ON CONFLICT (event_date, path) DO UPDATE SET
        sessions = t.sessions + excluded.sessions, orders = t.orders + excluded.orders, revenue = t.revenue + excluded.revenue;
    DELETE FROM mart.journey_days j USING (SELECT DISTINCT event_date, path FROM mart.state_before) AS b
    WHERE j.event_date = b.event_date AND j.path = b.path AND j.sessions = 0;
END
$body$;

-- ---------------------------------------------------------------- refresh: visits
CREATE FUNCTION mart.count_visits() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    IF NOT EXISTS (SELECT FROM processed.visit_deltas) THEN
        RETURN;
    END IF;
    WITH gone AS (DELETE FROM processed.visit_deltas RETURNING *)
    INSERT INTO mart.visit_days AS t
    SELECT visit_date, entry_category, furthest_stage, left_after, duration_band, sum(visits), sum(open_visits), sum(viewing_visits), sum(carting_visits),
           sum(buying_visits), sum(abandoned_visits), sum(events), sum(purchases), sum(revenue), sum(duration_ms)
    FROM gone GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (visit_date, entry_category, furthest_stage, left_after, duration_band) DO UPDATE SET
        visits = t.visits + excluded.visits, open_visits = t.open_visits + excluded.open_visits, viewing_visits = t.viewing_visits + excluded.viewing_visits,
        carting_visits = t.carting_visits + excluded.carting_visits, buying_visits = t.buying_visits + excluded.buying_visits,
        abandoned_visits = t.abandoned_visits + excluded.abandoned_visits, events = t.events + excluded.events,
        purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue, duration_ms = t.duration_ms + excluded.duration_ms;
    DELETE FROM mart.visit_days WHERE visits = 0;
END
$body$;

-- ---------------------------------------------------------------- the two entrances
CREATE FUNCTION reporting.refresh(max_events bigint DEFAULT 100000, 
                                  OUT events_counted bigint, OUT events_waiting bigint, OUT breaches bigint, OUT refreshed boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
SET enable_hashjoin = on SET enable_mergejoin = on SET jit = off SET work_mem = '64MB'
AS $body$
BEGIN
    events_counted := 0;
    refreshed := pg_try_advisory_xact_lock(mart.lock_reporting());
    IF NOT refreshed THEN -- somebody else is at it
        RETURN;
    END IF;
    PERFORM mart.count_visits();
    IF EXISTS (SELECT FROM processed.load_batches) THEN
        events_counted := mart.take_events(max_events);
        PERFORM mart.count_hours();
        PERFORM mart.count_products();
        PERFORM mart.count_sessions();
    END IF;
    events_waiting := (SELECT coalesce(sum(events), 0) FROM processed.load_batches);
    UPDATE mart.state SET refreshed_at = now();
    IF events_waiting = 0 THEN
        PERFORM mart.refresh_segments();
    END IF;
    -- A breach may have been of a moment (counts that came before their dead letters): it is looked at again soon.
    PERFORM reporting.measure_quality(events_waiting = 0 AND (
        SELECT coalesce(quality_at < now() - CASE WHEN EXISTS (SELECT FROM reporting.data_quality_breaches) THEN interval '1 minute' ELSE interval '1 hour' END, true)
        FROM mart.state));
    breaches := (SELECT count(*) FROM reporting.data_quality_breaches);
END
$body$;
COMMENT ON FUNCTION reporting.refresh(bigint) IS 'Counts up to max_events events that are stored and not yet in the reports, and all changes of visits; one transaction. Call again while events_waiting is not 0: then it also completes segments. breaches: rows of data_quality_breaches. refreshed is false where another call was running: that one does the work.';

CREATE FUNCTION reporting.rebuild() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
SET enable_hashjoin = on SET enable_mergejoin = on SET jit = off SET work_mem = '256MB'
AS $body$
DECLARE
    raw_from date;
BEGIN
    PERFORM pg_advisory_xact_lock(mart.lock_reporting());
    SELECT s.raw_from INTO raw_from FROM mart.state s;
    -- One statement, one snapshot: the events it sees are the ones whose notes it takes away.
    TRUNCATE mart.new_batches, mart.new_events, mart.new_products, mart.new_sessions, mart.touched, mart.state_before, mart.state_change;
    WITH gone AS (DELETE FROM processed.load_batches WHERE event_date >= raw_from)
    INSERT INTO mart.new_events
    SELECT e.event_date, extract(hour FROM e.event_time AT TIME ZONE 'UTC'), e.event_time, e.event_id, e.event_type, e.product_id,
           coalesce(e.category_code, 'unknown'), coalesce(e.brand, 'unknown'), e.price, e.user_id, coalesce(e.user_session, 'user:' || e.user_id),
           e.category_code IS NULL, e.brand IS NULL, e.user_session IS NULL
    FROM raw.events e WHERE e.event_date >= raw_from;
    ANALYZE mart.new_events;
    DELETE FROM mart.hour_totals WHERE event_date >= raw_from;
    DELETE FROM mart.product_days WHERE event_date >= raw_from;
    DELETE FROM mart.session_days WHERE event_date >= raw_from;
    DELETE FROM mart.session_steps WHERE event_date >= raw_from;
    PERFORM mart.add_dates(ARRAY(SELECT DISTINCT event_date FROM mart.new_events));
    PERFORM mart.count_hours();
    PERFORM mart.rebuild_cubes();
    PERFORM mart.rebuild_from_cubes();
    PERFORM mart.rebuild_visits();
    TRUNCATE mart.new_events, mart.new_products, mart.new_sessions, mart.touched;
    UPDATE mart.state SET rebuilt_at = now(), refreshed_at = now(), lost_events = 0;
    PERFORM reporting.measure_quality(true);
END
$body$;
COMMENT ON FUNCTION reporting.rebuild() IS 'Makes the whole mart anew from raw.events and processed.session_funnels, in one transaction; readers see the old one until then. Only for a mart that is in doubt: the result is what refreshing has given. Loading goes on meanwhile.';

-- ---------------------------------------------------------------- rebuild
CREATE FUNCTION mart.rebuild_cubes() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.product_days
    SELECT event_date, product_id, category, brand, price,
           sum((event_type = 'view')::int), sum((event_type = 'cart')::int), sum((event_type = 'remove_from_cart')::int),
           sum((event_type = 'checkout')::int), sum((event_type = 'purchase')::int),
           sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END), min(event_time), max(event_time)
    FROM mart.new_events GROUP BY event_date, product_id, category, brand, price;

    INSERT INTO mart.session_days
    SELECT session_key, event_date, user_id,
           sum((event_type = 'view')::int), sum((event_type = 'cart')::int), sum((event_type = 'remove_from_cart')::int),
           sum((event_type = 'checkout')::int), sum((event_type = 'purchase')::int),
           sum(CASE WHEN event_type = 'purchase' THEN price ELSE 0 END), min(event_time), max(event_time),
           min(event_time) FILTER (WHERE event_type = 'view'), max(event_time) FILTER (WHERE event_type = 'view'),
           max(event_time) FILTER (WHERE event_type = 'purchase')
    FROM mart.new_events GROUP BY session_key, event_date, user_id;

    INSERT INTO mart.session_steps
    SELECT s.session_key, s.event_date, s.steps, r.*
    FROM (SELECT session_key, event_date, (array_agg(mart.step(event_time, event_id, event_type, product_id, price)
                                                     ORDER BY mart.step(event_time, event_id, event_type, product_id, price) COLLATE "C"))[:500] AS steps
          FROM mart.new_events WHERE event_type <> 'view' GROUP BY session_key, event_date) AS s
    JOIN (SELECT session_key, event_date, min(event_time) AS first_view, max(event_time) AS last_view
          FROM mart.new_events WHERE event_type = 'view' GROUP BY session_key, event_date
          UNION ALL
          SELECT session_key, event_date, NULL, NULL FROM mart.new_events GROUP BY session_key, event_date HAVING bool_and(event_type <> 'view')) AS v
         USING (session_key, event_date)
    CROSS JOIN LATERAL mart.session_outcome(s.steps, v.first_view, v.last_view) AS r;
$$;

CREATE FUNCTION mart.rebuild_from_cubes() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    DELETE FROM mart.category_days;
    INSERT INTO mart.category_days
    SELECT event_date, category, sum(views), sum(carts), sum(removes), sum(checkouts), sum(purchases), sum(revenue) FROM mart.product_days GROUP BY 1, 2;
    DELETE FROM reporting.clickstream_metrics;
    INSERT INTO reporting.clickstream_metrics (event_date, category, total_events, total_revenue)
    SELECT event_date, category, views + carts + removes + checkouts + purchases, revenue FROM mart.category_days;
    DELETE FROM mart.brand_days;
    INSERT INTO mart.brand_days
    SELECT event_date, brand, sum(views), sum(carts), sum(removes), sum(checkouts), sum(purchases), sum(revenue) FROM mart.product_days GROUP BY 1, 2;
    DELETE FROM mart.price_band_days;
    INSERT INTO mart.price_band_days
    SELECT event_date, mart.price_band(price), sum(views), sum(carts), sum(removes), sum(checkouts), sum(purchases), sum(revenue)
    FROM mart.product_days GROUP BY 1, 2;

    DELETE FROM mart.dim_products;
    DELETE FROM mart.dim_categories;
    INSERT INTO mart.new_products SELECT * FROM mart.product_days;
    PERFORM mart.merge_products();
    PERFORM mart.merge_categories();

    DELETE FROM mart.active_users;
    INSERT INTO mart.active_users
    SELECT grain, date_trunc(grain, event_date::timestamp)::date, count(DISTINCT user_id)
    FROM (SELECT DISTINCT user_id, event_date FROM mart.session_days) AS d CROSS JOIN unnest(ARRAY['day', 'week', 'month']) AS grain GROUP BY 1, 2;

    DELETE FROM mart.dim_users;
    INSERT INTO mart.dim_users (user_id, user_key, first_seen, last_seen, events, carts, purchases, spend, sessions, orders, last_purchase)
    SELECT user_id, mart.pseudonym('user', user_id::text), min(first_time), max(last_time), sum(views + carts + removes + checkouts + purchases),
           sum(carts), sum(purchases), sum(revenue), count(DISTINCT session_key), count(DISTINCT session_key) FILTER (WHERE purchases > 0), max(last_purchase)
    FROM mart.session_days GROUP BY user_id;

    DELETE FROM mart.day_totals;
    DELETE FROM mart.journey_days;
    INSERT INTO mart.touched SELECT DISTINCT session_key, event_date FROM mart.session_days;
    ANALYZE mart.touched;
    INSERT INTO mart.day_totals
    SELECT event_date, count(*), count(*) FILTER (WHERE views > 0), count(*) FILTER (WHERE carts > 0), count(*) FILTER (WHERE purchases > 0),
           count(*) FILTER (WHERE stage >= 2), count(*) FILTER (WHERE stage >= 3), count(*) FILTER (WHERE abandoned_items > 0),
           sum(abandoned_items), sum(abandoned_value)
    FROM mart.touched_state GROUP BY event_date;
    INSERT INTO mart.journey_days
    SELECT event_date, path, count(*), count(*) FILTER (WHERE purchases > 0), sum(revenue) FROM mart.touched_state GROUP BY event_date, path;
END
$body$;

CREATE FUNCTION mart.rebuild_visits() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    DELETE FROM mart.visit_days;
    -- Again one snapshot for the visits and for the notes of their changes.
    EXECUTE 'WITH gone AS (DELETE FROM processed.visit_deltas) INSERT INTO mart.visit_days '
            || processed.visit_sums('SELECT 1 AS sign, v.* FROM processed.session_funnels v');
END
$body$;
