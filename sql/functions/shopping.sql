-- Refresh: what is counted from the events of a day in their order. The tables are those of
-- tables/0019_shopping.sql, and sql/README.md, "Buyers, paths and baskets", has the definitions.
--
-- A day that has new events is noted, and all of its events are counted again. All counts of a day
-- follow from its events alone, except mart.return_days: it also has the day before on which each
-- user had an event, up to 30 days before. So new events of a day also change mart.return_days of
-- the 30 days after it.
--
-- The events of a day may have come a moment ago, before ANALYZE. The planner then expects few
-- rows, and would join them by nested loops: one day of 20,000 events took more than four minutes.
-- So these are switched off.
--
-- Bounds. Of a session and day: the first 100 products viewed in a row, and the first 20 products
-- bought. Of a day: 1000 pairs of each step of the paths.

CREATE OR REPLACE FUNCTION mart.note_shopping_days() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.stale_shopping_days AS d (event_date, only_returns)
    SELECT h.event_date, bool_and(h.event_date <> n.event_date)
    FROM (SELECT DISTINCT event_date FROM mart.new_batches) AS n
    JOIN mart.hour_totals h ON h.event_date BETWEEN n.event_date AND n.event_date + 30
    WHERE h.event_date >= (SELECT raw_from FROM mart.state)
    GROUP BY h.event_date
    ON CONFLICT (event_date) DO UPDATE SET only_returns = false
    WHERE d.only_returns AND NOT excluded.only_returns
$$;

-- The views and purchases of the sessions that bought on a day, and the ids of its sessions.
CREATE OR REPLACE FUNCTION mart.take_shopping_orders(day date) RETURNS void
LANGUAGE plpgsql SET enable_nestloop = off AS $body$
BEGIN
    TRUNCATE mart.shopping_orders;
    EXECUTE format($sql$
        INSERT INTO mart.shopping_orders
        SELECT e.session_id, e.event_type, e.product_id, e.event_time
        FROM raw.event_rows e
        WHERE e.event_date = %1$L AND e.event_type IN ('v', 'p') AND e.session_id IN (
                  SELECT o.session_id FROM raw.event_rows o
                  WHERE o.event_date = %1$L AND o.event_type = 'p')
    $sql$, day);
    EXECUTE format($sql$
        INSERT INTO mart.session_texts
        SELECT DISTINCT e.session_id, e.session_text FROM raw.event_rows e
        WHERE e.event_date = %1$L AND e.session_form = 't'
        ON CONFLICT DO NOTHING
    $sql$, day);
    ANALYZE mart.shopping_orders;
END
$body$;

-- The views of a day in the order of their sessions. Numbers stand for texts and sessions, because
-- they are faster to sort: a category, its first level and a brand are the smallest label that has
-- it. The table is written in the order of session, so sorting by it again costs little.
CREATE OR REPLACE FUNCTION mart.take_shopping_views(day date) RETURNS void
LANGUAGE plpgsql SET enable_nestloop = off AS $body$
BEGIN
    TRUNCATE mart.shopping_views;
    EXECUTE format($sql$
        INSERT INTO mart.shopping_views
        WITH text AS MATERIALIZED (
            SELECT label_id, coalesce(category_code, 'unknown') AS category,
                   split_part(coalesce(category_code, 'unknown'), '.', 1) AS category1,
                   coalesce(brand, 'unknown') AS brand
            FROM raw.event_labels
        ), label AS MATERIALIZED (
            SELECT t.label_id, c.label_id AS category, c1.label_id AS category1,
                   b.label_id AS brand
            FROM text t
            JOIN (SELECT category, min(label_id) AS label_id FROM text GROUP BY 1) AS c
                USING (category)
            JOIN (SELECT category1, min(label_id) AS label_id FROM text GROUP BY 1) AS c1
                USING (category1)
            JOIN (SELECT brand, min(label_id) AS label_id FROM text GROUP BY 1) AS b USING (brand)
        )
        SELECT v.session, v.view, v.session_id IN (SELECT session_id FROM mart.shopping_orders),
               v.product_id, v.before,
               CASE WHEN v.view = 1 THEN extract(hour FROM v.event_time AT TIME ZONE 'UTC') END,
               l.category, l.category1, l.brand, mart.price_band(v.price)
        FROM (SELECT e.session_id, e.product_id, e.label_id, e.price, e.event_time,
                     rank() OVER (ORDER BY e.session_id) AS session,
                     row_number() OVER own AS view,
                     lag(e.product_id) OVER own AS before, lag(e.label_id) OVER own AS label_before,
                     lag(e.price) OVER own AS price_before
              FROM raw.event_rows e WHERE e.event_date = %1$L AND e.event_type = 'v'
              WINDOW own AS (PARTITION BY e.session_id ORDER BY e.event_time, e.event_id)) AS v
        JOIN label l USING (label_id)
        WHERE v.view = 1 OR v.before <> v.product_id OR v.label_id <> v.label_before
              OR v.price IS DISTINCT FROM v.price_before
    $sql$, day);
END
$body$;

CREATE OR REPLACE FUNCTION mart.count_lift_day(day date) RETURNS void
LANGUAGE plpgsql SET enable_nestloop = off AS $body$
BEGIN
    DELETE FROM mart.lift_days WHERE event_date = day;
    INSERT INTO mart.lift_days
    WITH begun AS MATERIALIZED (
        SELECT hour, count(*) AS sessions, count(*) FILTER (WHERE buys) AS buying
        FROM mart.shopping_views WHERE view = 1 GROUP BY hour
    ), seen AS MATERIALIZED (
        SELECT category, category1, brand, band, count(DISTINCT session) AS sessions,
               count(DISTINCT session) FILTER (WHERE buys) AS buying
        FROM mart.shopping_views
        GROUP BY GROUPING SETS ((category), (category1), (brand), (band))
    ), value AS (
        SELECT 'all' AS dimension, 'all' AS value, sum(sessions)::bigint AS sessions,
               sum(buying)::bigint AS buying
        FROM begun HAVING count(*) > 0
        UNION ALL
        SELECT 'hour', to_char(hour, 'FM00') || ':00', sessions, buying FROM begun
        UNION ALL
        SELECT 'category', coalesce(l.category_code, 'unknown'), sessions, buying
        FROM seen s JOIN raw.event_labels l ON l.label_id = s.category
        UNION ALL
        SELECT 'category1', split_part(coalesce(l.category_code, 'unknown'), '.', 1), sessions,
               buying
        FROM seen s JOIN raw.event_labels l ON l.label_id = s.category1
        UNION ALL
        SELECT 'brand', coalesce(l.brand, 'unknown'), sessions, buying
        FROM seen s JOIN raw.event_labels l ON l.label_id = s.brand
        UNION ALL
        SELECT 'price band', b.label, sessions, buying
        FROM seen s JOIN mart.price_bands b USING (band)
    )
    SELECT dimension, day, value, buying, sessions - buying FROM value;
END
$body$;

-- most: of a session with more steps than count, the view that ends the last one that counts. Such
-- a session has a view after its 100th.
CREATE OR REPLACE FUNCTION mart.count_path_day(day date) RETURNS void
LANGUAGE plpgsql SET enable_nestloop = off AS $body$
BEGIN
    DELETE FROM mart.product_path_days WHERE event_date = day;
    INSERT INTO mart.product_path_days
    WITH long AS (
        SELECT session, (array_agg(view ORDER BY view))[99] AS most
        FROM mart.shopping_views
        WHERE before <> product_id
              AND session IN (SELECT session FROM mart.shopping_views WHERE view > 100)
        GROUP BY session
    )
    SELECT day, 'viewed next', before, product_id, count(DISTINCT session)
    FROM mart.shopping_views LEFT JOIN long USING (session)
    WHERE before <> product_id AND (most IS NULL OR view <= most)
    GROUP BY before, product_id HAVING count(DISTINCT session) > 1
    ORDER BY 5 DESC, before, product_id LIMIT 1000;

    INSERT INTO mart.product_path_days
    WITH product AS (
        SELECT session_id, product_id,
               min(event_time) FILTER (WHERE event_type = 'v') AS first_view,
               min(event_time) FILTER (WHERE event_type = 'p') AS first_purchase,
               max(event_time) FILTER (WHERE event_type = 'p') AS last_purchase
        FROM mart.shopping_orders GROUP BY session_id, product_id
    ), placed AS (
        SELECT *,
               row_number() OVER (PARTITION BY session_id ORDER BY first_view, product_id) AS view,
               row_number() OVER (PARTITION BY session_id ORDER BY first_purchase, product_id)
                   AS purchase
        FROM product
    )
    SELECT day, 'bought', v.product_id, b.product_id, count(*)
    FROM placed v JOIN placed b
         ON b.session_id = v.session_id AND b.last_purchase >= v.first_view
    WHERE v.view <= 100 AND b.purchase <= 20 AND v.product_id <> b.product_id
    GROUP BY v.product_id, b.product_id HAVING count(*) > 1
    ORDER BY count(*) DESC, v.product_id, b.product_id LIMIT 1000;
END
$body$;

CREATE OR REPLACE FUNCTION mart.count_basket_day(day date) RETURNS void
LANGUAGE plpgsql SET enable_nestloop = off AS $body$
BEGIN
    DELETE FROM mart.basket_days WHERE event_date = day;
    DELETE FROM mart.basket_product_days WHERE event_date = day;
    INSERT INTO mart.basket_product_days
    SELECT product_id, day, count(DISTINCT session_id)
    FROM mart.shopping_orders WHERE event_type = 'p' GROUP BY product_id;
    INSERT INTO mart.basket_days
    WITH bought AS (
        SELECT session_id, product_id, row_number() OVER (
                   PARTITION BY session_id ORDER BY min(event_time), product_id) AS place
        FROM mart.shopping_orders WHERE event_type = 'p' GROUP BY session_id, product_id
    )
    SELECT day, a.product_id, b.product_id, count(*)
    FROM bought a JOIN bought b USING (session_id)
    WHERE a.product_id < b.product_id AND a.place <= 20 AND b.place <= 20
    GROUP BY a.product_id, b.product_id;
END
$body$;

CREATE OR REPLACE FUNCTION mart.user_outcome(carts bigint, checkouts bigint, purchases bigint)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN purchases > 0 THEN 'bought' WHEN carts + checkouts > 0 THEN 'cart'
               ELSE 'viewed' END $$;
COMMENT ON FUNCTION mart.user_outcome(bigint, bigint, bigint) IS
    'What a user did on a day: bought; cart (a cart or checkout, no purchase); viewed (neither).';

-- Users are those of mart.session_days, because it has fewer rows than events. Events that it does
-- not have yet wait for a refresh, and that refresh notes the day again. Two searches by key find
-- the last day before, and what the user did then: mart.session_days_cart has all but the views.
CREATE OR REPLACE FUNCTION mart.count_return_day(day date) RETURNS void LANGUAGE plpgsql
    SET enable_hashjoin = off SET enable_mergejoin = off AS $body$
BEGIN
    DELETE FROM mart.user_outcome_days WHERE event_date = day;
    DELETE FROM mart.return_days WHERE event_date = day;
    TRUNCATE mart.shopping_users;
    INSERT INTO mart.shopping_users
    SELECT user_id, mart.user_outcome(sum(carts), sum(checkouts), sum(purchases))
    FROM mart.session_days WHERE event_date = day GROUP BY user_id ORDER BY user_id;
    INSERT INTO mart.user_outcome_days
    SELECT day, outcome, count(*) FROM mart.shopping_users GROUP BY outcome;
    INSERT INTO mart.return_days
    SELECT day, p.event_date, d.outcome, p.outcome, count(*)
    FROM (SELECT u.user_id, u.outcome, (SELECT max(one) FROM unnest(k.days) AS one
                                        WHERE one < day AND one >= day - 30) AS event_date
          FROM mart.shopping_users u, LATERAL (SELECT days FROM mart.dim_users
                                               WHERE user_id = u.user_id AND days IS NOT NULL
                                               OFFSET 0) AS k OFFSET 0) AS p,
         LATERAL (SELECT mart.user_outcome(sum(carts), sum(checkouts), sum(purchases)) AS outcome
                  FROM mart.session_days
                  WHERE user_id = p.user_id AND event_date = p.event_date
                        AND carts + checkouts + purchases > 0) AS d
    WHERE p.event_date IS NOT NULL GROUP BY 2, 3, 4;
END
$body$;

CREATE OR REPLACE FUNCTION mart.count_shopping_day(day date) RETURNS void LANGUAGE plpgsql
    SET work_mem = '256MB' AS $body$
BEGIN
    IF NOT EXISTS (SELECT FROM mart.stale_shopping_days
                   WHERE event_date = day AND only_returns) THEN
        PERFORM mart.take_shopping_orders(day);
        PERFORM mart.take_shopping_views(day);
        PERFORM mart.count_lift_day(day);
        PERFORM mart.count_path_day(day);
        PERFORM mart.count_basket_day(day);
    END IF;
    PERFORM mart.count_return_day(day);
    TRUNCATE mart.shopping_views, mart.shopping_orders, mart.shopping_users;
    DELETE FROM mart.stale_shopping_days WHERE event_date = day;
END
$body$;

-- Each event of today changes today again. So while events arrive, days wait for
-- mart.state.shopping_after. When a segment is complete, they are counted at once. They are also
-- counted when no event has come for 20 seconds, but not again within two minutes.
CREATE OR REPLACE FUNCTION mart.shopping_is_due() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT min(d.noted) <= now() - s.shopping_after
           OR EXISTS (SELECT FROM reporting.segments g
                      WHERE g.completed_at > coalesce(s.shopping_at, '-infinity'))
           OR (s.newest_load <= now() - interval '20 seconds'
               AND coalesce(s.shopping_at <= now() - interval '2 minutes', true))
    FROM mart.state s, mart.stale_shopping_days d
    GROUP BY s.shopping_after, s.newest_load, s.shopping_at
$$;

-- A pass counts the days that were noted up to its begin, the newest first. Each call counts for
-- about a second, and completes the day that it has begun. It counts at most 16 days, because their
-- partitions stay locked until the refresh ends.
CREATE OR REPLACE FUNCTION mart.refresh_shopping() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    began constant timestamptz := clock_timestamp();
    pass  timestamptz := (SELECT shopping_begun FROM mart.state);
    one   date;
    counted int := 0;
BEGIN
    IF pass IS NULL THEN
        IF mart.shopping_is_due() IS NOT TRUE THEN
            RETURN;
        END IF;
        UPDATE mart.state SET shopping_begun = now() RETURNING shopping_begun INTO pass;
    END IF;
    DELETE FROM mart.stale_shopping_days WHERE event_date < (SELECT raw_from FROM mart.state);
    FOR one IN SELECT event_date FROM mart.stale_shopping_days WHERE noted <= pass
               ORDER BY event_date DESC LOOP
        IF clock_timestamp() > began + interval '1 second' OR counted = 16 THEN
            RETURN;
        END IF;
        PERFORM mart.count_shopping_day(one);
        counted := counted + 1;
    END LOOP;
    UPDATE mart.state SET shopping_begun = NULL, shopping_at = pass;
END
$body$;

-- Rebuild: notes all days, as for named funnels. Days that have lost all events end.
CREATE OR REPLACE FUNCTION mart.rebuild_shopping() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{lift_days,product_path_days,basket_days,basket_product_days,'
                          'user_outcome_days,return_days}'::text[] LOOP
        EXECUTE format('DELETE FROM mart.%I d '
                       'WHERE event_date >= (SELECT raw_from FROM mart.state) '
                       'AND NOT EXISTS (SELECT FROM mart.hour_totals h '
                       'WHERE h.event_date = d.event_date)', name);
    END LOOP;
    DELETE FROM mart.stale_shopping_days;
    INSERT INTO mart.stale_shopping_days
    SELECT DISTINCT event_date FROM mart.hour_totals
    WHERE event_date >= (SELECT raw_from FROM mart.state);
    UPDATE mart.state SET shopping_begun = NULL, shopping_at = NULL;
END
$body$;
