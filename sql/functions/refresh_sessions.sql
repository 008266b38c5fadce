-- Refresh: sessions, days and journeys.

CREATE OR REPLACE FUNCTION mart.count_sessions() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM mart.find_new_sessions();
    PERFORM mart.find_prior_sessions();
    PERFORM mart.find_mixed_sessions();
    PERFORM mart.find_touched();

    PERFORM mart.merge_users();
    PERFORM mart.merge_sessions();
    PERFORM mart.merge_steps();
    PERFORM mart.merge_days();
    PERFORM mart.merge_user_levels();
    PERFORM mart.merge_long_orders();
    PERFORM mart.merge_long_sessions();
    PERFORM mart.merge_buyers();
    TRUNCATE mart.new_sessions, mart.prior_sessions, mart.mixed_sessions, mart.touched,
        mart.touched_steps, mart.new_users;
END
$body$;

-- The rows are in the order of session_id, so that their places in its index are near to each
-- other. Nearly every entry is a group of its own. So sorting is cheaper than a hash table, here
-- and in the next two functions, which find the rows sorted.
CREATE OR REPLACE FUNCTION mart.find_new_sessions() RETURNS void LANGUAGE sql
SET enable_hashagg = off AS $$
    INSERT INTO mart.new_sessions
    SELECT session_id, event_date, user_id, sum(views), sum(carts), sum(removes),
           sum(checkouts), sum(purchases), mart.total(CASE WHEN purchases > 0 THEN revenue END),
           min(first_time), max(last_time), min(first_view), max(last_view), max(last_purchase)
    FROM (SELECT event_date, unnest(session_id) AS session_id, unnest(session_user_id) AS user_id,
                 unnest(session_views) AS views, unnest(session_carts) AS carts,
                 unnest(session_removes) AS removes, unnest(session_checkouts) AS checkouts,
                 unnest(session_purchases) AS purchases, unnest(session_revenue) AS revenue,
                 unnest(session_first) AS first_time, unnest(session_last) AS last_time,
                 unnest(session_first_view) AS first_view, unnest(session_last_view) AS last_view,
                 unnest(session_last_purchase) AS last_purchase
          FROM mart.batch_sums) AS sums
    GROUP BY session_id, event_date, user_id ORDER BY session_id
$$;

-- The settings force a search by key for each session; otherwise the planner may read all of
-- mart.session_days. The searches are in the order of the index. Only a refresh or rebuild changes
-- its rows, so their places stay valid.
CREATE OR REPLACE FUNCTION mart.find_prior_sessions() RETURNS void LANGUAGE sql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_hashagg = off AS $$
    INSERT INTO mart.prior_sessions
    SELECT d.*, d.ctid
    FROM (SELECT DISTINCT session_id FROM mart.new_sessions ORDER BY session_id) AS n
    JOIN mart.session_days d USING (session_id)
$$;

CREATE OR REPLACE FUNCTION mart.find_mixed_sessions() RETURNS void LANGUAGE sql
SET enable_hashagg = off AS $$
    INSERT INTO mart.mixed_sessions
    SELECT session_id FROM mart.prior_sessions
    UNION
    SELECT session_id FROM mart.new_sessions GROUP BY session_id HAVING count(*) > 1
$$;

-- The sessions and days that mart.touched leaves out: new ones of only views, of one user and day.
CREATE OR REPLACE VIEW mart.plain_sessions AS
SELECT n.* FROM mart.new_sessions n
WHERE n.carts + n.removes + n.checkouts + n.purchases = 0
      AND NOT EXISTS (SELECT FROM mart.mixed_sessions m WHERE m.session_id = n.session_id);

-- A session is nearly always one user's. The others have one row per user.
CREATE OR REPLACE FUNCTION mart.find_touched() RETURNS void LANGUAGE sql
SET enable_nestloop = off AS $$
    INSERT INTO mart.touched
    SELECT session_id, event_date, views, carts, purchases, revenue, first_view, last_view, false,
           0, 0, 0, 0, last_purchase, NULL, NULL
    FROM mart.new_sessions n
    WHERE carts + removes + checkouts + purchases > 0
          AND NOT EXISTS (SELECT FROM mart.mixed_sessions m WHERE m.session_id = n.session_id)
    UNION ALL
    SELECT session_id, event_date,
           n.views + coalesce(p.views, 0), n.carts + coalesce(p.carts, 0),
           n.purchases + coalesce(p.purchases, 0), n.revenue + coalesce(p.revenue, 0),
           least(n.first_view, p.first_view), greatest(n.last_view, p.last_view),
           p.views IS NOT NULL, coalesce(p.views, 0), coalesce(p.carts, 0),
           coalesce(p.purchases, 0), coalesce(p.revenue, 0),
           greatest(n.last_purchase, p.last_purchase), p.first_view, p.last_purchase
    FROM (SELECT session_id, event_date, sum(views) AS views, sum(carts) AS carts,
                 sum(purchases) AS purchases, sum(revenue) AS revenue,
                 min(first_view) AS first_view, max(last_view) AS last_view,
                 max(last_purchase) AS last_purchase
          FROM mart.new_sessions JOIN mart.mixed_sessions USING (session_id)
          GROUP BY session_id, event_date) AS n
    LEFT JOIN (SELECT session_id, event_date, sum(views) AS views, sum(carts) AS carts,
                      sum(purchases) AS purchases, sum(revenue) AS revenue,
                      min(first_view) AS first_view, max(last_view) AS last_view,
                      max(last_purchase) AS last_purchase
               FROM mart.prior_sessions GROUP BY session_id, event_date) AS p
        USING (session_id, event_date)
$$;

-- The list of places and the setting make the UPDATE read only these rows; otherwise the planner
-- may read all of mart.session_days.
CREATE OR REPLACE FUNCTION mart.merge_sessions() RETURNS void LANGUAGE sql
SET enable_nestloop = off AS $$
    UPDATE mart.session_days t
    SET views = t.views + n.views, carts = t.carts + n.carts, removes = t.removes + n.removes,
        checkouts = t.checkouts + n.checkouts, purchases = t.purchases + n.purchases,
        revenue = t.revenue + n.revenue,
        first_time = least(t.first_time, n.first_time),
        last_time = greatest(t.last_time, n.last_time),
        first_view = least(t.first_view, n.first_view),
        last_view = greatest(t.last_view, n.last_view),
        last_purchase = greatest(t.last_purchase, n.last_purchase)
    FROM mart.new_sessions n
    WHERE t.ctid = ANY (ARRAY(SELECT place FROM mart.prior_sessions))
          AND t.session_id = n.session_id AND t.event_date = n.event_date AND t.user_id = n.user_id;

    INSERT INTO mart.session_days
    SELECT n.* FROM mart.new_sessions n
    WHERE NOT EXISTS (SELECT FROM mart.prior_sessions p
                      WHERE p.session_id = n.session_id AND p.event_date = n.event_date
                            AND p.user_id = n.user_id)
$$;

-- New steps, and the existing steps of sessions whose views have changed. OFFSET 0 forces a search
-- by key for each session.
CREATE OR REPLACE FUNCTION mart.merge_steps() RETURNS void LANGUAGE sql
SET enable_nestloop = off AS $$
    WITH steps AS (
        SELECT session_id, event_date,
               array_agg(step ORDER BY step COLLATE "C") AS steps
        FROM (SELECT session_id, event_date,
                     mart.step(event_time, event_id, event_type, product_id, price) AS step
              FROM (SELECT event_date, unnest(step_session_id) AS session_id,
                           unnest(step_time) AS event_time, unnest(step_event_id) AS event_id,
                           unnest(step_type) AS event_type, unnest(step_product_id) AS product_id,
                           unnest(step_price) AS price
                    FROM mart.batch_sums) AS sums) AS event
        GROUP BY session_id, event_date
    ), merged AS MATERIALIZED (
        SELECT t.session_id, t.event_date,
               CASE WHEN o.steps IS NULL THEN n.steps[:500] WHEN n.steps IS NULL THEN o.steps
                    ELSE mart.merge_steps(o.steps, n.steps) END AS steps,
               t.first_view, t.last_view, o.path, o.stage, o.abandoned_items, o.abandoned_value,
               o.reached, o.checkout_items, o.checkout_value
        FROM mart.touched t
        LEFT JOIN LATERAL (SELECT * FROM mart.session_steps s
                           WHERE t.known AND s.session_id = t.session_id
                                 AND s.event_date = t.event_date OFFSET 0) AS o ON true
        LEFT JOIN steps n ON n.session_id = t.session_id AND n.event_date = t.event_date
        WHERE o.steps IS NOT NULL OR n.steps IS NOT NULL
    )
    INSERT INTO mart.touched_steps
    SELECT m.session_id, m.event_date, m.steps, r.path, r.stage, r.abandoned_items,
           r.abandoned_value, m.path, m.stage, m.abandoned_items, m.abandoned_value, r.reached,
           r.checkout_items, r.checkout_value, coalesce(m.reached, m.stage), m.checkout_items,
           m.checkout_value
    FROM merged m, mart.state c,
         LATERAL mart.session_outcome(m.steps, m.first_view, m.last_view, c.stages) AS r;

    INSERT INTO mart.session_steps AS t
    SELECT session_id, event_date, steps, path, stage, abandoned_items, abandoned_value, reached,
           checkout_items, checkout_value
    FROM mart.touched_steps
    ON CONFLICT (session_id, event_date) DO UPDATE SET
        steps = excluded.steps, path = excluded.path, stage = excluded.stage,
        abandoned_items = excluded.abandoned_items, abandoned_value = excluded.abandoned_value,
        reached = excluded.reached, checkout_items = excluded.checkout_items,
        checkout_value = excluded.checkout_value;
$$;

-- Adds the touched sessions and days as they are now, and subtracts them as they were before. Those
-- without steps have only views. mart.plain_sessions has the sessions and days that are not
-- touched; all of them are new.
CREATE OR REPLACE FUNCTION mart.merge_days() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO mart.day_totals AS t
    SELECT event_date, s.sessions, s.view_sessions, s.cart_sessions, s.orders,
           coalesce(p.funnel_cart, 0), coalesce(p.funnel_purchase, 0),
           coalesce(p.abandoned, 0), coalesce(p.items, 0), coalesce(p.value, 0),
           coalesce(b.buying_view, 0), coalesce(b.view_purchase, 0), coalesce(p.buying_cart, 0),
           coalesce(p.checkout_sessions, 0), coalesce(p.abandoned_checkouts, 0),
           coalesce(p.checkout_items, 0), coalesce(p.checkout_value, 0)
    FROM (SELECT event_date, count(*) FILTER (WHERE NOT known) AS sessions,
                 sum((views > 0)::int - (views_before > 0)::int) AS view_sessions,
                 sum((carts > 0)::int - (carts_before > 0)::int) AS cart_sessions,
                 sum((purchases > 0)::int - (purchases_before > 0)::int) AS orders
          FROM (SELECT event_date, known, views, carts, purchases, views_before, carts_before,
                       purchases_before
                FROM mart.touched
                UNION ALL
                SELECT event_date, false, views, 0, 0, 0, 0, 0 FROM mart.plain_sessions) AS changed
          GROUP BY event_date) AS s
    LEFT JOIN (
        SELECT event_date,
               sum((first_view IS NOT NULL)::int
                   - (first_view_before IS NOT NULL AND last_purchase_before IS NOT NULL)::int)
                   AS buying_view,
               sum(coalesce((last_purchase >= first_view)::int, 0)
                   - coalesce((last_purchase_before >= first_view_before)::int, 0))
                   AS view_purchase
        FROM mart.touched WHERE last_purchase IS NOT NULL GROUP BY event_date) AS b
        USING (event_date)
    LEFT JOIN (
        SELECT event_date,
               sum((stage >= 2)::int - (coalesce(stage_before, 0) >= 2)::int) AS funnel_cart,
               sum((stage >= 3)::int - (coalesce(stage_before, 0) >= 3)::int) AS funnel_purchase,
               sum((stage >= 2 AND purchases > 0)::int
                   - (coalesce(stage_before, 0) >= 2 AND purchases_before > 0)::int) AS buying_cart,
               sum((abandoned_items > 0)::int - (coalesce(items_before, 0) > 0)::int) AS abandoned,
               sum(abandoned_items - coalesce(items_before, 0)) AS items,
               sum(abandoned_value - coalesce(value_before, 0)) AS value,
               count(checkout_items) - count(checkout_items_before) AS checkout_sessions,
               count(*) FILTER (WHERE checkout_items > 0)
                   - count(*) FILTER (WHERE checkout_items_before > 0) AS abandoned_checkouts,
               sum(coalesce(checkout_items, 0) - coalesce(checkout_items_before, 0))
                   AS checkout_items,
               sum(coalesce(checkout_value, 0) - coalesce(checkout_value_before, 0))
                   AS checkout_value
        FROM mart.touched_steps JOIN mart.touched USING (session_id, event_date)
        GROUP BY event_date) AS p USING (event_date)
    ON CONFLICT (event_date) DO UPDATE SET
        sessions = t.sessions + excluded.sessions,
        view_sessions = t.view_sessions + excluded.view_sessions,
        cart_sessions = t.cart_sessions + excluded.cart_sessions,
        orders = t.orders + excluded.orders,
        funnel_cart_sessions = t.funnel_cart_sessions + excluded.funnel_cart_sessions,
        funnel_purchase_sessions = t.funnel_purchase_sessions + excluded.funnel_purchase_sessions,
        abandoned_sessions = t.abandoned_sessions + excluded.abandoned_sessions,
        abandoned_items = t.abandoned_items + excluded.abandoned_items,
        abandoned_value = t.abandoned_value + excluded.abandoned_value,
        buying_view_sessions = t.buying_view_sessions + excluded.buying_view_sessions,
        view_purchase_sessions = t.view_purchase_sessions + excluded.view_purchase_sessions,
        buying_cart_sessions = t.buying_cart_sessions + excluded.buying_cart_sessions,
        checkout_sessions = t.checkout_sessions + excluded.checkout_sessions,
        abandoned_checkouts = t.abandoned_checkouts + excluded.abandoned_checkouts,
        checkout_items = t.checkout_items + excluded.checkout_items,
        checkout_value = t.checkout_value + excluded.checkout_value;

    INSERT INTO mart.stage_days AS t
    SELECT event_date, place, count(*) FILTER (WHERE coalesce(reached, stage) >= place)
               - count(*) FILTER (WHERE reached_before >= place) AS sessions,
           count(*) FILTER (WHERE coalesce(reached, stage) >= place AND purchases > 0)
               - count(*) FILTER (WHERE reached_before >= place AND purchases_before > 0) AS buyers
    FROM mart.touched_steps JOIN mart.touched USING (session_id, event_date),
         mart.stage_places((SELECT stages FROM mart.state)) AS place
    WHERE greatest(reached, stage, reached_before) >= place
    GROUP BY event_date, place
    ON CONFLICT (event_date, stage) DO UPDATE SET
        sessions = t.sessions + excluded.sessions, buyers = t.buyers + excluded.buyers;
    DELETE FROM mart.stage_days WHERE sessions = 0;

    INSERT INTO mart.journey_days AS t
    SELECT event_date, path, sum(sessions), sum(orders), sum(revenue)
    FROM (SELECT event_date, 'view' AS path, count(*) AS sessions, 0 AS orders, 0 AS revenue
          FROM (SELECT event_date FROM mart.touched WHERE NOT known
                UNION ALL
                SELECT event_date FROM mart.plain_sessions) AS new_session
          GROUP BY event_date
          UNION ALL
          SELECT event_date, s.path, 1, (t.purchases > 0)::int, t.revenue
          FROM mart.touched_steps s JOIN mart.touched t USING (session_id, event_date)
          UNION ALL -- also for new sessions, which the first query has counted as view
          SELECT event_date, coalesce(s.path_before, 'view'), -1, -(t.purchases_before > 0)::int,
                 -t.revenue_before
          FROM mart.touched_steps s JOIN mart.touched t USING (session_id, event_date)) AS change
    GROUP BY event_date, path HAVING (sum(sessions), sum(orders), sum(revenue)) <> (0, 0, 0)
    ON CONFLICT (event_date, path) DO UPDATE SET
        sessions = t.sessions + excluded.sessions, orders = t.orders + excluded.orders,
        revenue = t.revenue + excluded.revenue;
    DELETE FROM mart.journey_days j
    USING (SELECT DISTINCT event_date FROM mart.new_batches) AS b
    WHERE j.event_date = b.event_date AND j.sessions = 0;
END
$body$;

-- Adds the touched sessions with a purchase that also have one on another day.
CREATE OR REPLACE FUNCTION mart.merge_long_orders() RETURNS void LANGUAGE sql AS $$
    WITH buying AS (
        SELECT session_id, event_date FROM mart.new_sessions WHERE purchases > 0
        UNION
        SELECT session_id, event_date FROM mart.prior_sessions WHERE purchases > 0
    )
    INSERT INTO mart.long_orders
    SELECT session_id, event_date FROM buying
    WHERE session_id IN (SELECT session_id FROM mart.new_sessions WHERE purchases > 0)
          AND session_id IN (SELECT session_id FROM buying GROUP BY session_id HAVING count(*) > 1)
    ON CONFLICT DO NOTHING
$$;
