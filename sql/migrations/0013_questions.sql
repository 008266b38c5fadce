-- The questions. What is per day is a view: filter it by day. What needs a period is a function of its first and last day
-- (UTC, both included); `before` columns are the same number of days just before. Rates are null where there is nothing to divide by.
--
-- All count from events as stored, late ones included, but for visits, which leave out events that came too late for theirs.

-- ---------------------------------------------------------------- sums per day
CREATE VIEW reporting.category_days AS
SELECT event_date AS day, category, split_part(category, '.', 1) AS category_level1, views, carts, removes, checkouts, purchases, revenue FROM mart.category_days;
COMMENT ON VIEW reporting.category_days IS 'Events by type and revenue of each UTC day and category code. Adds up.';
CREATE VIEW reporting.brand_days AS
SELECT event_date AS day, brand, views, carts, removes, checkouts, purchases, revenue FROM mart.brand_days;
COMMENT ON VIEW reporting.brand_days IS 'Events by type and revenue of each UTC day and brand. Adds up.';
CREATE VIEW reporting.product_days AS
SELECT event_date AS day, product_id, category, split_part(category, '.', 1) AS category_level1, brand, price, views, carts, removes, checkouts, purchases, revenue
FROM mart.product_days;
COMMENT ON VIEW reporting.product_days IS 'Events by type and revenue of each UTC day, product, category, brand and price. Adds up.';
CREATE VIEW reporting.visit_days AS
SELECT visit_date AS day, entry_category, furthest_stage, left_after, d.label AS duration, duration_band, visits, open_visits, viewing_visits, carting_visits,
       buying_visits, abandoned_visits, events, purchases, revenue, duration_ms
FROM mart.visit_days JOIN mart.duration_bands d ON d.band = duration_band;
COMMENT ON VIEW reporting.visit_days IS 'Visits that began on each UTC day, by first level of the category they began with, furthest stage, last stage reached and duration. Adds up.';
COMMENT ON COLUMN reporting.visit_days.abandoned_visits IS 'Visits with a cart event and no purchase.';
COMMENT ON COLUMN reporting.visit_days.left_after IS 'The stage after which the visit ended; completed where the last was reached.';

CREATE FUNCTION reporting.change(now numeric, before numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT round((now - before) / nullif(before, 0), 4) $$;
COMMENT ON FUNCTION reporting.change(numeric, numeric) IS 'Relative change: 0.1 is ten per cent more than before. Null where before was nothing.';

CREATE VIEW reporting.daily_activity AS
SELECT h.event_date AS day, sum(h.events)::bigint AS events, sum(h.views)::bigint AS views, sum(h.carts)::bigint AS carts, sum(h.removes)::bigint AS removes,
       sum(h.checkouts)::bigint AS checkouts, sum(h.purchases)::bigint AS purchases, sum(h.revenue) AS revenue,
       min(d.sessions) AS sessions, min(u.users) AS users,
       round(sum(h.events) / nullif(min(d.sessions), 0), 2) AS events_per_session
FROM mart.hour_totals h
LEFT JOIN mart.day_totals d USING (event_date)
LEFT JOIN mart.active_users u ON u.grain = 'day' AND u.period_start = h.event_date
GROUP BY h.event_date;
COMMENT ON VIEW reporting.daily_activity IS 'Events by type, distinct sessions and users of each UTC day.';
CREATE VIEW reporting.hourly_activity AS
SELECT event_date AS day, hour, events, views, carts, removes, checkouts, purchases, revenue FROM mart.hour_totals;
COMMENT ON VIEW reporting.hourly_activity IS 'Events by type and revenue of each UTC hour.';

CREATE VIEW reporting.daily_revenue AS
WITH day AS (
    SELECT h.event_date, sum(h.revenue) AS revenue, sum(h.purchases)::bigint AS purchases, min(d.orders) AS orders
    FROM mart.hour_totals h JOIN mart.day_totals d USING (event_date) GROUP BY h.event_date
)
SELECT t.event_date AS day, t.revenue, t.purchases, t.orders, round(t.revenue / nullif(t.orders, 0), 2) AS average_order_value,
       y.revenue AS revenue_day_before, w.revenue AS revenue_week_before, reporting.change(t.revenue, w.revenue) AS change_on_week_before
FROM day t LEFT JOIN day y ON y.event_date = t.event_date - 1 LEFT JOIN day w ON w.event_date = t.event_date - 7;
COMMENT ON VIEW reporting.daily_revenue IS 'Revenue, purchase events and orders (sessions with a purchase) of each UTC day, beside the day and the weekday before.';

CREATE VIEW reporting.active_users AS SELECT grain, period_start, users FROM mart.active_users;
COMMENT ON VIEW reporting.active_users IS 'Distinct users with an event in each day, week (from Monday) and month: grain day, week, month.';

-- ---------------------------------------------------------------- the funnel
CREATE FUNCTION reporting.funnel_by_event(from_day date, to_day date)
RETURNS TABLE (step smallint, event_type text, events bigint, per_view numeric, events_before bigint, per_view_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH total AS (
        SELECT event_date >= from_day AS is_now, sum(h.views) AS views, sum(h.carts) AS carts, sum(h.removes) AS removes, sum(h.checkouts) AS checkouts, sum(h.purchases) AS purchases
        FROM mart.hour_totals h WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    ), long AS (
        SELECT is_now, views, v.event_type, v.events FROM total
        CROSS JOIN LATERAL (VALUES ('view', views), ('cart', carts), ('remove_from_cart', removes), ('checkout', checkouts), ('purchase', purchases)) AS v(event_type, events)
    )
    SELECT t.position, t.event_type, coalesce(n.events, 0)::bigint, round(n.events / nullif(n.views, 0), 4), coalesce(b.events, 0)::bigint, round(b.events / nullif(b.views, 0), 4)
    FROM mart.dim_event_types t
    LEFT JOIN long n ON n.event_type = t.event_type AND n.is_now
    LEFT JOIN long b ON b.event_type = t.event_type AND NOT b.is_now
    ORDER BY t.position
$$;
COMMENT ON FUNCTION reporting.funnel_by_event(date, date) IS 'Funnel by event: how many events of each type, and how many per view. Not people: one session may view ten products.';

CREATE FUNCTION reporting.funnel_by_session(from_day date, to_day date)
RETURNS TABLE (step smallint, stage text, sessions bigint, of_viewers numeric, of_step_before numeric, left_here bigint, sessions_before bigint, of_viewers_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH total AS (
        SELECT event_date >= from_day AS is_now, sum(view_sessions) AS viewed, sum(funnel_cart_sessions) AS carted, sum(funnel_purchase_sessions) AS bought
        FROM mart.day_totals WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    ), n AS (SELECT coalesce(sum(viewed), 0) AS viewed, coalesce(sum(carted), 0) AS carted, coalesce(sum(bought), 0) AS bought FROM total WHERE is_now
    ), b AS (SELECT coalesce(sum(viewed), 0) AS viewed, coalesce(sum(carted), 0) AS carted, coalesce(sum(bought), 0) AS bought FROM total WHERE NOT is_now)
    SELECT s.step::smallint, s.stage, s.now::bigint, round(s.now / nullif(n.viewed, 0), 4), round(s.now / nullif(s.previous, 0), 4), (s.now - s.next)::bigint,
           s.before::bigint, round(s.before / nullif(b.viewed, 0), 4)
    FROM n, b, LATERAL (VALUES (1, 'view', n.viewed, n.viewed, n.carted, b.viewed),
                               (2, 'cart after view', n.carted, n.viewed, n.bought, b.carted),
                               (3, 'purchase after cart', n.bought, n.carted, 0, b.bought)) AS s(step, stage, now, previous, next, before)
$$;
COMMENT ON FUNCTION reporting.funnel_by_session(date, date) IS 'Funnel by session: sessions that viewed; of them, with a cart at or after the first view; of them, with a purchase at or after such a cart. Within a UTC day: a session of two days counts in both. left_here: went no further (of the last step: all).';

CREATE FUNCTION reporting.funnel_by_visit(from_day date, to_day date)
RETURNS TABLE (furthest_stage smallint, left_after text, visits bigint, share numeric, reached bigint, revenue numeric, visits_before bigint, share_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH stage AS (
        SELECT v.furthest_stage, v.left_after,
               coalesce(sum(v.visits) FILTER (WHERE visit_date >= from_day), 0) AS now, coalesce(sum(v.visits) FILTER (WHERE visit_date < from_day), 0) AS before,
               coalesce(sum(v.revenue) FILTER (WHERE visit_date >= from_day), 0) AS revenue
        FROM mart.visit_days v WHERE visit_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1, 2
    )
    SELECT furthest_stage, left_after, now::bigint, round(now / nullif(sum(now) OVER (), 0), 4), (sum(now) OVER (ORDER BY furthest_stage DESC))::bigint, revenue,
           before::bigint, round(before / nullif(sum(before) OVER (), 0), 4)
    FROM stage ORDER BY furthest_stage
$$;
COMMENT ON FUNCTION reporting.funnel_by_visit(date, date) IS 'Funnel by visit cohort: visits that began in the period, by the furthest stage reached in order, after which they left (completed: the last). reached: this stage or a later one. Revenue stands beside each stage: a purchase without a cart before it leaves its visit at view.';

CREATE FUNCTION reporting.funnel_by_category(from_day date, to_day date)
RETURNS TABLE (category text, views bigint, carts bigint, purchases bigint, revenue numeric, carts_per_view numeric, purchases_per_cart numeric, purchases_per_view numeric, purchases_per_view_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.category, sum(c.views) FILTER (WHERE now)::bigint, sum(c.carts) FILTER (WHERE now)::bigint, sum(c.purchases) FILTER (WHERE now)::bigint, sum(c.revenue) FILTER (WHERE now),
           round(sum(c.carts) FILTER (WHERE now) / nullif(sum(c.views) FILTER (WHERE now), 0), 4), round(sum(c.purchases) FILTER (WHERE now) / nullif(sum(c.carts) FILTER (WHERE now), 0), 4),
           round(sum(c.purchases) FILTER (WHERE now) / nullif(sum(c.views) FILTER (WHERE now), 0), 4), round(sum(c.purchases) FILTER (WHERE NOT now) / nullif(sum(c.views) FILTER (WHERE NOT now), 0), 4)
    FROM mart.category_days c, LATERAL (SELECT event_date >= from_day AS now) AS w
    WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
    GROUP BY c.category HAVING bool_or(now) ORDER BY 2 DESC, 1
$$;
COMMENT ON FUNCTION reporting.funnel_by_category(date, date) IS 'Funnel by event of each category code, most viewed first.';

CREATE VIEW reporting.funnel_now AS
WITH newest AS (
    SELECT window_start AS minute FROM processed.funnel_aggregates WHERE rollup = '1m:all' ORDER BY window_start DESC LIMIT 1
), span AS (
    SELECT s.* FROM newest, LATERAL (VALUES
        (1, 'last minute', minute, minute - interval '1 minute', interval '1 minute'),
        (2, 'last hour', minute - interval '59 minutes', minute - interval '119 minutes', interval '60 minutes'),
        (3, 'today', date_trunc('day', minute, 'UTC'), date_trunc('day', minute, 'UTC') - interval '1 day', minute + interval '1 minute' - date_trunc('day', minute, 'UTC')))
        AS s(position, span, starts, before_starts, length)
)
SELECT s.position, s.span, s.starts, s.starts + s.length AS ends, n.views, n.carts, n.checkouts, n.purchases, n.revenue,
       round(n.purchases::numeric / nullif(n.views, 0), 4) AS purchases_per_view,
       b.views AS views_before, b.carts AS carts_before, b.purchases AS purchases_before, b.revenue AS revenue_before,
       round(b.purchases::numeric / nullif(b.views, 0), 4) AS purchases_per_view_before
FROM span s
CROSS JOIN LATERAL (SELECT coalesce(sum(views), 0)::bigint AS views, coalesce(sum(carts), 0)::bigint AS carts, coalesce(sum(checkouts), 0)::bigint AS checkouts,
                           coalesce(sum(purchases), 0)::bigint AS purchases, coalesce(sum(revenue), 0) AS revenue
                    FROM processed.funnel_aggregates WHERE rollup = '1m:all' AND window_start >= s.starts AND window_start < s.starts + s.length) AS n
CROSS JOIN LATERAL (SELECT coalesce(sum(views), 0)::bigint AS views, coalesce(sum(carts), 0)::bigint AS carts, coalesce(sum(purchases), 0)::bigint AS purchases, coalesce(sum(revenue), 0) AS revenue
                    FROM processed.funnel_aggregates WHERE rollup = '1m:all' AND window_start >= s.before_starts AND window_start < s.before_starts + s.length) AS b;
COMMENT ON VIEW reporting.funnel_now IS 'Events of the last minute, hour and day of the data (up to its newest minute), beside the minute and hour before and yesterday up to the same time. From the live rollup 1m:all, so as fresh as the loader.';

-- ---------------------------------------------------------------- what sells
CREATE FUNCTION reporting.top_categories(from_day date, to_day date, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, category text, revenue numeric, share numeric, purchases bigint, views bigint, revenue_before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT c.category, coalesce(sum(c.revenue) FILTER (WHERE event_date >= from_day), 0) AS revenue, coalesce(sum(c.purchases) FILTER (WHERE event_date >= from_day), 0) AS purchases,
               coalesce(sum(c.views) FILTER (WHERE event_date >= from_day), 0) AS views, coalesce(sum(c.revenue) FILTER (WHERE event_date < from_day), 0) AS before
        FROM mart.category_days c WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    ), shared AS (SELECT *, round(revenue / nullif(sum(revenue) OVER (), 0), 4) AS share FROM sums)
    SELECT row_number() OVER (ORDER BY revenue DESC, purchases DESC, views DESC, category), category, revenue, share, purchases::bigint, views::bigint, before, reporting.change(revenue, before)
    FROM shared WHERE category <> 'unknown' AND purchases > 0 ORDER BY 1 LIMIT how_many
$$;
COMMENT ON FUNCTION reporting.top_categories(date, date, int) IS 'Category codes by revenue (then purchases, views). share is of all revenue, that of events without a category included; those are no row here.';

CREATE FUNCTION reporting.top_selling_brands(from_day date, to_day date, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, brand text, revenue numeric, share numeric, purchases bigint, views bigint, revenue_before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT c.brand, coalesce(sum(c.revenue) FILTER (WHERE event_date >= from_day), 0) AS revenue, coalesce(sum(c.purchases) FILTER (WHERE event_date >= from_day), 0) AS purchases,
               coalesce(sum(c.views) FILTER (WHERE event_date >= from_day), 0) AS views, coalesce(sum(c.revenue) FILTER (WHERE event_date < from_day), 0) AS before
        FROM mart.brand_days c WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    ), shared AS (SELECT *, round(revenue / nullif(sum(revenue) OVER (), 0), 4) AS share FROM sums)
    SELECT row_number() OVER (ORDER BY revenue DESC, purchases DESC, views DESC, brand), brand, revenue, share, purchases::bigint, views::bigint, before, reporting.change(revenue, before)
    FROM shared WHERE brand <> 'unknown' AND purchases > 0 ORDER BY 1 LIMIT how_many
$$;
COMMENT ON FUNCTION reporting.top_selling_brands(date, date, int) IS 'Brands by revenue (then purchases, views). share is of all revenue; purchases without a brand are no row here.';

CREATE FUNCTION reporting.top_products(from_day date, to_day date, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, product_id bigint, brand text, category text, revenue numeric, purchases bigint, revenue_before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT c.product_id, coalesce(sum(c.revenue) FILTER (WHERE event_date >= from_day), 0) AS revenue,
               coalesce(sum(c.purchases) FILTER (WHERE event_date >= from_day), 0) AS purchases, coalesce(sum(c.revenue) FILTER (WHERE event_date < from_day), 0) AS before
        FROM mart.product_days c WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day AND c.purchases > 0 GROUP BY 1
    ), top AS (
        SELECT row_number() OVER (ORDER BY s.revenue DESC, s.purchases DESC, s.product_id) AS rank, s.* FROM sums s WHERE s.purchases > 0 ORDER BY 1 LIMIT how_many
    )
    SELECT t.rank, t.product_id, p.brand, p.category, t.revenue, t.purchases::bigint, t.before, reporting.change(t.revenue, t.before)
    FROM top t LEFT JOIN mart.dim_products p USING (product_id) ORDER BY 1
$$;
COMMENT ON FUNCTION reporting.top_products(date, date, int) IS 'Products by revenue (then purchases), with brand and category as of their latest event.';

CREATE FUNCTION reporting.category_attention(from_day date, to_day date, how_many int DEFAULT 15)
RETURNS TABLE (rank bigint, category text, views bigint, purchases bigint, purchases_per_view numeric, overall_rate numeric, missed_purchases numeric, purchases_per_view_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT c.category, coalesce(sum(c.views) FILTER (WHERE event_date >= from_day), 0) AS views, coalesce(sum(c.purchases) FILTER (WHERE event_date >= from_day), 0) AS purchases,
               sum(c.views) FILTER (WHERE event_date < from_day) AS views_before, sum(c.purchases) FILTER (WHERE event_date < from_day) AS purchases_before
        FROM mart.category_days c WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    ), overall AS (
        SELECT sum(purchases) / nullif(sum(views), 0) AS rate, percentile_cont(0.75) WITHIN GROUP (ORDER BY views) AS many FROM sums WHERE views > 0
    )
    SELECT row_number() OVER (ORDER BY views * rate - purchases DESC, category), category, views::bigint, purchases::bigint, round(purchases / views, 4), round(rate, 4),
           round(views * rate - purchases, 1), round(purchases_before / nullif(views_before, 0), 4)
    FROM sums, overall WHERE views > 0 AND views >= many AND purchases / views < rate
    ORDER BY 1 LIMIT how_many
$$;
COMMENT ON FUNCTION reporting.category_attention(date, date, int) IS 'Much seen, little bought: categories in the top quarter by views that sell less per view than all together. missed_purchases: how many more it would be at the overall rate. unknown takes part.';

CREATE FUNCTION reporting.price_bands(from_day date, to_day date)
RETURNS TABLE (band smallint, price_band text, views bigint, carts bigint, purchases bigint, revenue numeric, purchases_per_view numeric, revenue_before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.band, b.label, coalesce(sum(d.views) FILTER (WHERE event_date >= from_day), 0)::bigint, coalesce(sum(d.carts) FILTER (WHERE event_date >= from_day), 0)::bigint,
           coalesce(sum(d.purchases) FILTER (WHERE event_date >= from_day), 0)::bigint, coalesce(sum(d.revenue) FILTER (WHERE event_date >= from_day), 0),
           round(sum(d.purchases) FILTER (WHERE event_date >= from_day) / nullif(sum(d.views) FILTER (WHERE event_date >= from_day), 0), 4),
           coalesce(sum(d.revenue) FILTER (WHERE event_date < from_day), 0),
           reporting.change(sum(d.revenue) FILTER (WHERE event_date >= from_day), sum(d.revenue) FILTER (WHERE event_date < from_day))
    FROM mart.price_bands b LEFT JOIN mart.price_band_days d ON d.band = b.band AND event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
    GROUP BY b.band, b.label ORDER BY b.band
$$;
COMMENT ON FUNCTION reporting.price_bands(date, date) IS 'Events and revenue by the price that the event had. Lower limits belong to their band.';

-- ---------------------------------------------------------------- sales, buyers, users
-- One period's sums. An order is a session with a purchase within the period, whatever its days.
CREATE FUNCTION mart.sales(from_day date, to_day date, OUT revenue numeric, OUT purchases bigint, OUT orders bigint, OUT buyers bigint, OUT repeat_buyers bigint, OUT new_buyers bigint)
LANGUAGE sql STABLE AS $$
    WITH by_user AS (
        SELECT user_id, count(DISTINCT session_key) AS orders, sum(purchases) AS purchases, sum(revenue) AS revenue
        FROM mart.session_days d WHERE purchases > 0 AND event_date BETWEEN from_day AND to_day GROUP BY user_id
    )
    SELECT coalesce(sum(u.revenue), 0), coalesce(sum(u.purchases), 0),
           (SELECT count(DISTINCT session_key) FROM mart.session_days WHERE purchases > 0 AND event_date BETWEEN from_day AND to_day),
           count(*), count(*) FILTER (WHERE u.orders > 1),
           count(*) FILTER (WHERE NOT EXISTS (SELECT FROM mart.session_days e WHERE e.user_id = u.user_id AND e.event_date < from_day AND e.purchases > 0))
    FROM by_user u
$$;
CREATE FUNCTION reporting.sales_summary(from_day date, to_day date)
RETURNS TABLE (line int, measure text, value numeric, before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.line, m.measure, m.value, m.before, reporting.change(m.value, m.before)
    FROM mart.sales(from_day, to_day) AS n, mart.sales(from_day - (to_day - from_day + 1), from_day - 1) AS b, LATERAL (VALUES
        (1, 'revenue', n.revenue, b.revenue), (2, 'purchases', n.purchases, b.purchases), (3, 'orders', n.orders, b.orders),
        (4, 'average_order_value', round(n.revenue / nullif(n.orders, 0), 2), round(b.revenue / nullif(b.orders, 0), 2)),
        (5, 'buyers', n.buyers, b.buyers), (6, 'repeat_buyers', n.repeat_buyers, b.repeat_buyers), (7, 'new_buyers', n.new_buyers, b.new_buyers),
        (8, 'repeat_share', round(n.repeat_buyers::numeric / nullif(n.buyers, 0), 4), round(b.repeat_buyers::numeric / nullif(b.buyers, 0), 4))) AS m(line, measure, value, before)
    ORDER BY 1
$$;
COMMENT ON FUNCTION reporting.sales_summary(date, date) IS 'revenue; purchases (events); orders (distinct sessions with a purchase in the period); average_order_value (revenue per order); buyers (users who bought); repeat_buyers (with two orders and more in the period), repeat_share of buyers; new_buyers (no purchase before the period).';

CREATE VIEW reporting.user_segments AS
SELECT segment, count(*) AS users, round(count(*) / nullif(sum(count(*)) OVER (), 0), 4) AS share, sum(sessions)::bigint AS sessions, sum(orders)::bigint AS orders, sum(spend) AS spend
FROM mart.dim_users GROUP BY segment;
COMMENT ON VIEW reporting.user_segments IS 'Users by what they have done so far; segments as in dim_users.segment.';

CREATE FUNCTION mart.rfm_segment(r int, f int, m int) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'champion' WHEN r >= 3 AND f >= 4 THEN 'loyal' WHEN r >= 4 AND m >= 4 THEN 'big spender'
                WHEN r >= 4 THEN 'recent' WHEN r <= 2 AND (f >= 4 OR m >= 4) THEN 'at risk' WHEN r <= 2 THEN 'dormant' ELSE 'promising' END
$$;
CREATE FUNCTION reporting.rfm(from_day date, to_day date)
RETURNS TABLE (user_key text, recency_days int, frequency bigint, monetary numeric, r int, f int, m int, segment text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH buyer AS (
        SELECT user_id, to_day - max(event_date) AS recency, count(DISTINCT session_key) AS frequency, sum(revenue) AS monetary
        FROM mart.session_days WHERE purchases > 0 AND event_date BETWEEN from_day AND to_day GROUP BY user_id
    ), scored AS (
        SELECT *, 1 + least(4, floor(5 * percent_rank() OVER (ORDER BY recency DESC)))::int AS r, 1 + least(4, floor(5 * percent_rank() OVER (ORDER BY frequency)))::int AS f,
               1 + least(4, floor(5 * percent_rank() OVER (ORDER BY monetary)))::int AS m
        FROM buyer
    )
    SELECT u.user_key, s.recency, s.frequency, s.monetary, s.r, s.f, s.m, mart.rfm_segment(s.r, s.f, s.m)
    FROM scored s LEFT JOIN mart.dim_users u USING (user_id)
$$;
COMMENT ON FUNCTION reporting.rfm(date, date) IS 'Buyers of the period: days from their last purchase to the last day, orders, spend, and the quintile of each among all of them (5 is best; equal values have the same). Segments: champion (all three 4 and more), loyal, big spender, recent, promising, at risk (once good, long ago), dormant.';
CREATE FUNCTION reporting.rfm_segments(from_day date, to_day date)
RETURNS TABLE (segment text, users bigint, share numeric, orders bigint, revenue numeric, average_recency_days numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT segment, count(*), round(count(*) / sum(count(*)) OVER (), 4), sum(frequency)::bigint, sum(monetary), round(avg(recency_days), 1)
    FROM reporting.rfm(from_day, to_day) GROUP BY segment ORDER BY 5 DESC
$$;
COMMENT ON FUNCTION reporting.rfm_segments(date, date) IS 'reporting.rfm by segment. orders adds up the users'' orders.';

-- ---------------------------------------------------------------- behaviour
CREATE FUNCTION reporting.session_duration(from_day date, to_day date)
RETURNS TABLE (band smallint, duration text, visits bigint, buying_visits bigint, buying_share numeric, revenue numeric, events_per_visit numeric, buying_share_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.band, b.label, coalesce(sum(v.visits) FILTER (WHERE now), 0)::bigint, coalesce(sum(v.buying_visits) FILTER (WHERE now), 0)::bigint,
           round(sum(v.buying_visits) FILTER (WHERE now) / nullif(sum(v.visits) FILTER (WHERE now), 0), 4), coalesce(sum(v.revenue) FILTER (WHERE now), 0),
           round(sum(v.events) FILTER (WHERE now) / nullif(sum(v.visits) FILTER (WHERE now), 0), 2),
           round(sum(v.buying_visits) FILTER (WHERE NOT now) / nullif(sum(v.visits) FILTER (WHERE NOT now), 0), 4)
    FROM mart.duration_bands b
    LEFT JOIN (SELECT *, visit_date >= from_day AS now FROM mart.visit_days WHERE visit_date BETWEEN from_day - (to_day - from_day + 1) AND to_day) v ON v.duration_band = b.band
    GROUP BY b.band, b.label ORDER BY b.band
$$;
COMMENT ON FUNCTION reporting.session_duration(date, date) IS 'Length of visits against purchase: visits that began in the period by duration, and the share of them with a purchase.';

CREATE FUNCTION reporting.time_to_convert(from_day date, to_day date)
RETURNS TABLE (step text, visits bigint, median_s numeric, average_s numeric, p90_s numeric, visits_before bigint, median_s_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH wait AS (
        SELECT visit_start >= from_day::timestamp AT TIME ZONE 'UTC' AS now, w.position, w.step, w.ms
        FROM processed.session_funnels v, LATERAL (VALUES (1, 'view to cart', view_to_cart_ms), (2, 'view to purchase', view_to_purchase_ms)) AS w(position, step, ms)
        WHERE (view_to_cart_ms IS NOT NULL OR view_to_purchase_ms IS NOT NULL) AND w.ms IS NOT NULL
          AND visit_start >= (from_day - (to_day - from_day + 1))::timestamp AT TIME ZONE 'UTC' AND visit_start < (to_day + 1)::timestamp AT TIME ZONE 'UTC'
    )
    SELECT step, count(*) FILTER (WHERE now), round((percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE now) / 1000)::numeric, 1), round(avg(ms) FILTER (WHERE now) / 1000, 1),
           round((percentile_cont(0.9) WITHIN GROUP (ORDER BY ms) FILTER (WHERE now) / 1000)::numeric, 1), count(*) FILTER (WHERE NOT now),
           round((percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE NOT now) / 1000)::numeric, 1)
    FROM wait GROUP BY position, step ORDER BY position
$$;
COMMENT ON FUNCTION reporting.time_to_convert(date, date) IS 'Seconds from a visit''s first view to its first cart, and to its first purchase, at or after it: median, mean, ninetieth percentile, of the visits that have one.';

CREATE FUNCTION reporting.journeys(from_day date, to_day date, how_many int DEFAULT 20)
RETURNS TABLE (rank bigint, path text, sessions bigint, share numeric, orders bigint, revenue numeric, sessions_before bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT j.path, coalesce(sum(j.sessions) FILTER (WHERE event_date >= from_day), 0) AS sessions, coalesce(sum(j.orders) FILTER (WHERE event_date >= from_day), 0) AS orders,
               coalesce(sum(j.revenue) FILTER (WHERE event_date >= from_day), 0) AS revenue, coalesce(sum(j.sessions) FILTER (WHERE event_date < from_day), 0) AS before
        FROM mart.journey_days j WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    )
    SELECT row_number() OVER (ORDER BY sessions DESC, path), path, sessions::bigint, round(sessions / nullif(sum(sessions) OVER (), 0), 4), orders::bigint, revenue, before::bigint
    FROM sums WHERE sessions > 0 ORDER BY 1 LIMIT how_many
$$;
COMMENT ON FUNCTION reporting.journeys(date, date, int) IS 'The most frequent paths of sessions within a UTC day: steps in order, repeats in a row taken as one, at most eight; view before and after where the session viewed before its first step or after its last. Views between steps are not shown.';

CREATE FUNCTION reporting.weekday_weekend(from_day date, to_day date)
RETURNS TABLE (kind text, days bigint, events_per_day numeric, purchases_per_day numeric, revenue_per_day numeric, purchases_per_view numeric, revenue_per_day_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH sums AS (
        SELECT d.is_weekend, event_date >= from_day AS now, count(DISTINCT event_date) AS days, sum(h.events) AS events, sum(h.purchases) AS purchases, sum(h.views) AS views, sum(h.revenue) AS revenue
        FROM mart.hour_totals h JOIN mart.dim_dates d ON d.date_key = h.event_date WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1, 2
    )
    SELECT CASE WHEN n.is_weekend THEN 'weekend' ELSE 'weekday' END, n.days, round(n.events / n.days, 1), round(n.purchases / n.days, 1), round(n.revenue / n.days, 2),
           round(n.purchases / nullif(n.views, 0), 4), round(b.revenue / b.days, 2)
    FROM sums n LEFT JOIN sums b ON b.is_weekend = n.is_weekend AND NOT b.now WHERE n.now ORDER BY n.is_weekend
$$;
COMMENT ON FUNCTION reporting.weekday_weekend(date, date) IS 'Weekdays against Saturdays and Sundays (UTC), per day that had events.';
CREATE FUNCTION reporting.hour_of_day(from_day date, to_day date)
RETURNS TABLE (hour int, events bigint, share numeric, purchases bigint, revenue numeric, purchases_per_view numeric, events_before bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT o, coalesce(sum(h.events) FILTER (WHERE now), 0)::bigint, round(sum(h.events) FILTER (WHERE now) / nullif(sum(sum(h.events) FILTER (WHERE now)) OVER (), 0), 4),
           coalesce(sum(h.purchases) FILTER (WHERE now), 0)::bigint, coalesce(sum(h.revenue) FILTER (WHERE now), 0), round(sum(h.purchases) FILTER (WHERE now) / nullif(sum(h.views) FILTER (WHERE now), 0), 4),
           coalesce(sum(h.events) FILTER (WHERE NOT now), 0)::bigint
    FROM generate_series(0, 23) AS o
    LEFT JOIN (SELECT *, event_date >= from_day AS now FROM mart.hour_totals WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day) h ON h.hour = o
    GROUP BY o ORDER BY o
$$;
COMMENT ON FUNCTION reporting.hour_of_day(date, date) IS 'The day by UTC hour, all days of the period together.';

CREATE VIEW reporting.cart_abandonment_by_day AS
SELECT event_date AS day, cart_sessions, abandoned_sessions, round(abandoned_sessions::numeric / nullif(cart_sessions, 0), 4) AS abandonment_rate, abandoned_items, abandoned_value
FROM mart.day_totals;
COMMENT ON VIEW reporting.cart_abandonment_by_day IS 'Abandoned: a product whose last step in the session and UTC day (cart, remove_from_cart, purchase) was cart. Its value is the price of that event, one piece.';
CREATE FUNCTION reporting.cart_abandonment(from_day date, to_day date)
RETURNS TABLE (cart_sessions bigint, abandoned_sessions bigint, abandonment_rate numeric, abandoned_items bigint, abandoned_value numeric, abandonment_rate_before numeric, abandoned_value_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(d.cart_sessions) FILTER (WHERE now), 0)::bigint, coalesce(sum(d.abandoned_sessions) FILTER (WHERE now), 0)::bigint,
           round(sum(d.abandoned_sessions) FILTER (WHERE now) / nullif(sum(d.cart_sessions) FILTER (WHERE now), 0), 4), coalesce(sum(d.abandoned_items) FILTER (WHERE now), 0)::bigint,
           coalesce(sum(d.abandoned_value) FILTER (WHERE now), 0), round(sum(d.abandoned_sessions) FILTER (WHERE NOT now) / nullif(sum(d.cart_sessions) FILTER (WHERE NOT now), 0), 4),
           coalesce(sum(d.abandoned_value) FILTER (WHERE NOT now), 0)
    FROM mart.day_totals d, LATERAL (SELECT event_date >= from_day AS now) AS w WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
$$;
COMMENT ON FUNCTION reporting.cart_abandonment(date, date) IS 'Sessions with a cart event, and those that left a product in the cart; see cart_abandonment_by_day. Per UTC day: a cart of yesterday bought today counts as abandoned yesterday.';

CREATE FUNCTION mart.engaged(from_day date, to_day date, OUT events numeric, OUT session_days numeric, OUT visits numeric, OUT visit_ms numeric, OUT days numeric, OUT user_days numeric)
LANGUAGE sql STABLE AS $$
    SELECT (SELECT sum(h.events) FROM mart.hour_totals h WHERE event_date BETWEEN from_day AND to_day), (SELECT sum(sessions) FROM mart.day_totals WHERE event_date BETWEEN from_day AND to_day),
           (SELECT sum(v.visits) FROM mart.visit_days v WHERE visit_date BETWEEN from_day AND to_day), (SELECT sum(duration_ms) FROM mart.visit_days WHERE visit_date BETWEEN from_day AND to_day),
           (SELECT count(*) FROM mart.day_totals WHERE event_date BETWEEN from_day AND to_day),
           (SELECT sum(users) FROM mart.active_users WHERE grain = 'day' AND period_start BETWEEN from_day AND to_day)
$$;
CREATE FUNCTION reporting.engagement(from_day date, to_day date)
RETURNS TABLE (line int, measure text, value numeric, before numeric, change numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.line, m.measure, m.value, m.before, reporting.change(m.value, m.before)
    FROM mart.engaged(from_day, to_day) AS n, mart.engaged(from_day - (to_day - from_day + 1), from_day - 1) AS b, LATERAL (VALUES
        (1, 'events_per_session', round(n.events / nullif(n.session_days, 0), 2), round(b.events / nullif(b.session_days, 0), 2)),
        (2, 'sessions_per_day', round(n.session_days / nullif(n.days, 0), 1), round(b.session_days / nullif(b.days, 0), 1)),
        (3, 'users_per_day', round(n.user_days / nullif(n.days, 0), 1), round(b.user_days / nullif(b.days, 0), 1)),
        (4, 'visits', coalesce(n.visits, 0), coalesce(b.visits, 0)),
        (5, 'average_visit_s', round(n.visit_ms / nullif(n.visits, 0) / 1000, 1), round(b.visit_ms / nullif(b.visits, 0) / 1000, 1))) AS m(line, measure, value, before)
    ORDER BY 1
$$;
COMMENT ON FUNCTION reporting.engagement(date, date) IS 'events_per_session and sessions_per_day (sessions within a UTC day), users_per_day (mean of daily distinct users; days that had events), visits, average_visit_s. Weekly users are in active_users.';
