-- Functions about the funnel. Each takes the first and the last day of a period (UTC, both
-- included). Columns with `before` in their name describe the period of the same length just
-- before. A rate is null if its divisor is 0.

CREATE OR REPLACE FUNCTION reporting.funnel_by_event(from_day date, to_day date)
RETURNS TABLE (step smallint, event_type text, events bigint, per_view numeric,
               events_before bigint, per_view_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH total AS (
        SELECT event_date >= from_day AS is_now, sum(h.views) AS views, sum(h.carts) AS carts,
               sum(h.removes) AS removes, sum(h.checkouts) AS checkouts,
               sum(h.purchases) AS purchases
        FROM mart.hour_totals h
        WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1
    ), long AS (
        SELECT is_now, views, v.event_type, v.events FROM total
        CROSS JOIN LATERAL (VALUES ('view', views), ('cart', carts),
                                   ('remove_from_cart', removes),
                                   ('checkout', checkouts), ('purchase', purchases))
                   AS v(event_type, events)
    )
    SELECT t.position, t.event_type, coalesce(n.events, 0)::bigint,
           round(n.events / nullif(n.views, 0), 4), coalesce(b.events, 0)::bigint,
           round(b.events / nullif(b.views, 0), 4)
    FROM mart.dim_event_types t
    LEFT JOIN long n ON n.event_type = t.event_type AND n.is_now
    LEFT JOIN long b ON b.event_type = t.event_type AND NOT b.is_now
    ORDER BY t.position
$$;
COMMENT ON FUNCTION reporting.funnel_by_event(date, date) IS
    'Funnel by event: how many events of each type, and how many per view. Not people: one '
    'session may view ten products.';

CREATE OR REPLACE FUNCTION reporting.funnel_by_session(from_day date, to_day date)
RETURNS TABLE (step smallint, stage text, sessions bigint, of_viewers numeric,
               of_step_before numeric, left_here bigint, sessions_before bigint,
               of_viewers_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH total AS (
        SELECT n.is_now, coalesce(sum(view_sessions), 0) AS viewed,
               coalesce(sum(funnel_cart_sessions), 0) AS carted,
               coalesce(sum(funnel_purchase_sessions), 0) AS bought,
               coalesce(sum(view_purchase_sessions), 0) AS bought_after_view,
               coalesce(sum(buying_view_sessions), 0) AS buyers,
               coalesce(sum(buying_cart_sessions), 0) AS buyers_with_cart,
               coalesce(sum(orders), 0) AS orders
        FROM (VALUES (true), (false)) AS n(is_now)
        LEFT JOIN mart.day_totals
             ON event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
                AND (event_date >= from_day) = n.is_now
        GROUP BY 1
    ), branch AS (
        SELECT is_now, viewed, s.* FROM total, LATERAL (VALUES
            (1, 'view', viewed, NULL, viewed - carted - (buyers - buyers_with_cart)),
            (2, 'cart after view', carted, viewed, carted - buyers_with_cart),
            (3, 'purchase after cart', bought, carted, 0),
            (4, 'purchase without cart', bought_after_view - bought, viewed, 0),
            (5, 'purchase before view', buyers - bought_after_view, viewed, 0),
            (6, 'left', viewed - buyers, viewed, viewed - buyers),
            (7, 'purchase without view', orders - buyers, NULL, 0))
            AS s(step, stage, sessions, previous, left_here)
    )
    SELECT n.step::smallint, n.stage, n.sessions::bigint,
           CASE WHEN n.step < 7 THEN round(n.sessions / nullif(n.viewed, 0), 4) END,
           CASE WHEN n.step < 7
                THEN round(n.sessions / nullif(coalesce(n.previous, n.viewed), 0), 4) END,
           n.left_here::bigint, b.sessions::bigint,
           CASE WHEN n.step < 7 THEN round(b.sessions / nullif(b.viewed, 0), 4) END
    FROM branch n JOIN branch b ON b.step = n.step AND n.is_now AND NOT b.is_now
    ORDER BY n.step
$$;
COMMENT ON FUNCTION reporting.funnel_by_session(date, date) IS
    'Funnel by session. Steps 1 to 3, in order: sessions that viewed; of them, with a cart at or '
    'after the first view; of them, with a purchase at or after such a cart. The branches of the '
    'viewers: 3 bought with a cart between, 4 bought at or after their first view without one, 5 '
    'bought only before it, 6 left without a purchase; these four add up to step 1. 7: orders '
    'without a view, which are not viewers. Within a UTC day: a session of two days counts in '
    'both. left_here: went no further and bought nothing; steps 1 and 2 add up to 6.';

CREATE OR REPLACE FUNCTION reporting.funnel_by_visit(from_day date, to_day date)
RETURNS TABLE (furthest_stage smallint, left_after text, visits bigint, share numeric,
               reached bigint, revenue numeric, visits_before bigint, share_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH stage AS (
        SELECT v.furthest_stage, v.left_after,
               coalesce(sum(v.visits) FILTER (WHERE visit_date >= from_day), 0) AS now,
               coalesce(sum(v.visits) FILTER (WHERE visit_date < from_day), 0) AS before,
               coalesce(sum(v.revenue) FILTER (WHERE visit_date >= from_day), 0) AS revenue
        FROM mart.visit_days v
        WHERE visit_date BETWEEN from_day - (to_day - from_day + 1) AND to_day GROUP BY 1, 2
    )
    SELECT furthest_stage, left_after, now::bigint, round(now / nullif(sum(now) OVER (), 0), 4),
           (sum(now) OVER (ORDER BY furthest_stage DESC))::bigint, revenue,
           before::bigint, round(before / nullif(sum(before) OVER (), 0), 4)
    FROM stage ORDER BY furthest_stage, left_after
$$;
COMMENT ON FUNCTION reporting.funnel_by_visit(date, date) IS
    'Funnel by visit cohort: visits that began in the period, by the furthest stage that they '
    'reached in order, and by where they ended. left_after: the stage after which the visitor left '
    'without a purchase. Of visits that bought: completed (with a cart between the first view and '
    'a purchase), bought without cart, bought before view or bought without view. reached: visits '
    'that reached this stage or a later one.';

CREATE OR REPLACE FUNCTION reporting.funnel_by_category(from_day date, to_day date)
RETURNS TABLE (category text, views bigint, carts bigint, purchases bigint, revenue numeric,
               carts_per_view numeric, purchases_per_cart numeric, purchases_per_view numeric,
               purchases_per_view_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.category, sum(c.views) FILTER (WHERE now)::bigint,
           sum(c.carts) FILTER (WHERE now)::bigint, sum(c.purchases) FILTER (WHERE now)::bigint,
           sum(c.revenue) FILTER (WHERE now),
           round(sum(c.carts) FILTER (WHERE now) / nullif(sum(c.views) FILTER (WHERE now), 0), 4),
           round(sum(c.purchases) FILTER (WHERE now)
                 / nullif(sum(c.carts) FILTER (WHERE now), 0), 4),
           round(sum(c.purchases) FILTER (WHERE now)
                 / nullif(sum(c.views) FILTER (WHERE now), 0), 4),
           round(sum(c.purchases) FILTER (WHERE NOT now)
                 / nullif(sum(c.views) FILTER (WHERE NOT now), 0), 4)
    FROM mart.category_days c, LATERAL (SELECT event_date >= from_day AS now) AS w
    WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
    GROUP BY c.category HAVING bool_or(now) ORDER BY 2 DESC, 1
$$;
COMMENT ON FUNCTION reporting.funnel_by_category(date, date) IS
    'Funnel by event of each category code, most viewed first.';
