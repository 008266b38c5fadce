-- Refresh: what is counted from the events of a day in their order. The tables are those of
-- tables/0019_shopping.sql, and sql/README.md, "Buyers, paths and baskets", has the definitions.
--
-- A day that has new events is noted, and all of its events are counted again. All counts of a day
-- follow from its events alone, except mart.return_days: it also has the day before on which each
-- user had an event, up to 30 days before. So new events of a day also change the 30 days after it.
--
-- Bounds. Of a session and day: the first 100 products viewed in a row, and the first 20 products
-- bought. Of a day: 1000 pairs of each step of the paths.

CREATE OR REPLACE FUNCTION mart.note_shopping_days() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.stale_shopping_days (event_date)
    SELECT DISTINCT h.event_date
    FROM (SELECT DISTINCT event_date FROM mart.new_batches) AS n
    JOIN mart.hour_totals h ON h.event_date BETWEEN n.event_date AND n.event_date + 30
    WHERE h.event_date >= (SELECT raw_from FROM mart.state)
    ON CONFLICT DO NOTHING
$$;

-- The events of a day, in a scratch table, because several statements read them.
CREATE OR REPLACE FUNCTION mart.take_shopping_day(day date) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    TRUNCATE mart.shopping_events;
    EXECUTE format($sql$
        INSERT INTO mart.shopping_events
        SELECT e.session_id, e.event_type, e.product_id, e.event_time, e.event_id, e.user_id,
               coalesce(l.category_code, 'unknown'), coalesce(l.brand, 'unknown'), e.price
        FROM raw.event_rows e LEFT JOIN raw.event_labels l ON l.label_id = e.label_id
        WHERE e.event_date = %1$L
    $sql$, day);
    EXECUTE format($sql$
        INSERT INTO mart.session_texts
        SELECT DISTINCT e.session_id, e.session_text FROM raw.event_rows e
        WHERE e.event_date = %1$L AND e.session_form = 't'
        ON CONFLICT DO NOTHING
    $sql$, day);
    ANALYZE mart.shopping_events;
END
$body$;

CREATE OR REPLACE FUNCTION mart.count_lift_day(day date) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    DELETE FROM mart.lift_days WHERE event_date = day;
    INSERT INTO mart.lift_days
    WITH session AS MATERIALIZED (
        SELECT session_id, bool_or(event_type = 'p') AS buys,
               min(event_time) FILTER (WHERE event_type = 'v') AS first_view
        FROM mart.shopping_events GROUP BY session_id HAVING bool_or(event_type = 'v')
    ), seen AS MATERIALIZED (
        SELECT DISTINCT session_id, s.buys, e.category, e.brand, mart.price_band(e.price) AS band
        FROM mart.shopping_events e JOIN session s USING (session_id) WHERE e.event_type = 'v'
    ), value AS (
        SELECT 'all' AS dimension, 'all' AS value, buys FROM session
        UNION ALL
        SELECT 'hour', to_char(first_view AT TIME ZONE 'UTC', 'HH24:00'), buys FROM session
        UNION ALL
        SELECT 'category', category, buys FROM (SELECT DISTINCT session_id, buys, category
                                                FROM seen) AS s
        UNION ALL
        SELECT 'category1', level1, buys
        FROM (SELECT DISTINCT session_id, buys, split_part(category, '.', 1) AS level1
              FROM seen) AS s
        UNION ALL
        SELECT 'brand', brand, buys FROM (SELECT DISTINCT session_id, buys, brand FROM seen) AS s
        UNION ALL
        SELECT 'price band', b.label, buys
        FROM (SELECT DISTINCT session_id, buys, band FROM seen) AS s
        JOIN mart.price_bands b USING (band)
    )
    SELECT dimension, day, value, count(*) FILTER (WHERE buys), count(*) FILTER (WHERE NOT buys)
    FROM value GROUP BY 1, 3;
END
$body$;

CREATE OR REPLACE FUNCTION mart.count_path_day(day date) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    DELETE FROM mart.product_path_days WHERE event_date = day;
    INSERT INTO mart.product_path_days
    WITH viewed AS (
        SELECT session_id, product_id, event_time, event_id,
               lag(product_id) OVER (PARTITION BY session_id
                                     ORDER BY event_time, event_id) AS before
        FROM mart.shopping_events WHERE event_type = 'v'
    ), stepped AS (
        SELECT session_id, product_id, lead(product_id) OVER own AS next,
               row_number() OVER own AS place
        FROM viewed WHERE before IS DISTINCT FROM product_id
        WINDOW own AS (PARTITION BY session_id ORDER BY event_time, event_id)
    )
    SELECT day, 'viewed next', product_id, next, count(*)
    FROM (SELECT DISTINCT session_id, product_id, next FROM stepped
          WHERE next IS NOT NULL AND place < 100) AS pair
    GROUP BY product_id, next HAVING count(*) > 1
    ORDER BY count(*) DESC, product_id, next LIMIT 1000;

    INSERT INTO mart.product_path_days
    WITH product AS (
        SELECT session_id, product_id,
               min(event_time) FILTER (WHERE event_type = 'v') AS first_view,
               min(event_time) FILTER (WHERE event_type = 'p') AS first_purchase,
               max(event_time) FILTER (WHERE event_type = 'p') AS last_purchase
        FROM mart.shopping_events
        WHERE session_id IN (SELECT session_id FROM mart.shopping_events
                             WHERE event_type = 'p')
        GROUP BY session_id, product_id
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

CREATE OR REPLACE FUNCTION mart.count_basket_day(day date) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    DELETE FROM mart.basket_days WHERE event_date = day;
    DELETE FROM mart.basket_product_days WHERE event_date = day;
    INSERT INTO mart.basket_product_days
    SELECT product_id, day, count(DISTINCT session_id)
    FROM mart.shopping_events WHERE event_type = 'p' GROUP BY product_id;
    INSERT INTO mart.basket_days
    WITH bought AS (
        SELECT session_id, product_id, row_number() OVER (
                   PARTITION BY session_id ORDER BY min(event_time), product_id) AS place
        FROM mart.shopping_events WHERE event_type = 'p' GROUP BY session_id, product_id
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

-- The day before is a single probe of the index of session_days for each user.
CREATE OR REPLACE FUNCTION mart.count_return_day(day date) RETURNS void LANGUAGE plpgsql
    SET enable_hashjoin = off SET enable_mergejoin = off AS $body$
BEGIN
    DELETE FROM mart.user_outcome_days WHERE event_date = day;
    DELETE FROM mart.return_days WHERE event_date = day;
    TRUNCATE mart.shopping_users;
    INSERT INTO mart.shopping_users
    SELECT user_id, mart.user_outcome(count(*) FILTER (WHERE event_type = 'c'),
                                      count(*) FILTER (WHERE event_type = 'k'),
                                      count(*) FILTER (WHERE event_type = 'p'))
    FROM mart.shopping_events GROUP BY user_id;
    INSERT INTO mart.user_outcome_days
    SELECT day, outcome, count(*) FROM mart.shopping_users GROUP BY outcome;
    INSERT INTO mart.return_days
    SELECT day, p.event_date, p.outcome, u.outcome, count(*)
    FROM mart.shopping_users u CROSS JOIN LATERAL (
        SELECT d.event_date, mart.user_outcome(sum(d.carts)::bigint, sum(d.checkouts)::bigint,
                                               sum(d.purchases)::bigint) AS outcome
        FROM mart.session_days d
        WHERE d.user_id = u.user_id AND d.event_date < day AND d.event_date >= day - 30
        GROUP BY d.event_date ORDER BY d.event_date DESC LIMIT 1) AS p
    GROUP BY 2, 3, 4;
END
$body$;

CREATE OR REPLACE FUNCTION mart.count_shopping_day(day date) RETURNS void LANGUAGE plpgsql
    SET work_mem = '128MB' AS $body$
BEGIN
    PERFORM mart.take_shopping_day(day);
    PERFORM mart.count_lift_day(day);
    PERFORM mart.count_path_day(day);
    PERFORM mart.count_basket_day(day);
    PERFORM mart.count_return_day(day);
    TRUNCATE mart.shopping_events, mart.shopping_users;
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
