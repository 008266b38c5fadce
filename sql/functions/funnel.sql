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

-- One row per stage, then the branches of the viewers. A list from view to purchase ends with a
-- branch: the buyers that took all stages in order. If other stages are between view and purchase
-- than cart alone, buyers that left some of them out are a branch of their own.
CREATE OR REPLACE FUNCTION reporting.funnel_by_session(from_day date, to_day date)
RETURNS TABLE (step smallint, stage text, sessions bigint, of_viewers numeric,
               of_step_before numeric, left_here bigint, sessions_before bigint,
               of_viewers_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH list AS (
        SELECT stages, cardinality(stages) AS n, stages[1] = 'view' AS from_view,
               'cart' = ANY (stages[2:]) AS has_cart,
               stages[1] = 'view' AND stages[cardinality(stages)] = 'purchase' AS is_branch,
               coalesce(nullif(array_position(stages, 'view'), 1), cardinality(stages)) AS counted
        FROM (SELECT coalesce(s.stages, '{view,cart,purchase}') AS stages
              FROM mart.state s) AS known
    ), total AS (
        SELECT n.is_now, coalesce(sum(view_sessions), 0) AS viewed,
               coalesce(sum(funnel_purchase_sessions), 0) AS via_cart,
               coalesce(sum(view_purchase_sessions), 0) AS bought_after_view,
               coalesce(sum(buying_view_sessions), 0) AS buyers,
               coalesce(sum(orders), 0) AS orders
        FROM (VALUES (true), (false)) AS n(is_now)
        LEFT JOIN mart.day_totals
             ON event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
                AND (event_date >= from_day) = n.is_now
        GROUP BY 1
    ), counted AS (
        SELECT event_date >= from_day AS is_now, d.stage AS place, sum(d.sessions) AS sessions,
               sum(d.buyers) AS buyers
        FROM mart.stage_days d
        WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
        GROUP BY 1, 2
    ), reached AS (
        SELECT t.is_now, place::int,
               CASE WHEN place > l.counted THEN NULL
                    WHEN place = 1 AND from_view THEN t.viewed
                    ELSE coalesce(c.sessions, 0) END AS sessions,
               CASE WHEN place = 1 AND from_view THEN t.buyers
                    ELSE coalesce(c.buyers, 0) END AS buyers
        FROM list l, total t CROSS JOIN LATERAL generate_series(1, l.n) AS place
        LEFT JOIN counted c USING (is_now, place)
    ), step AS (
        SELECT r.is_now, r.place AS sort,
               l.stages[r.place] || coalesce(' after ' || l.stages[r.place - 1], '') AS stage,
               r.sessions, lag(r.sessions) OVER own AS previous, l.from_view AS of_viewers,
               CASE WHEN r.place = l.n OR r.place < l.counted
                    THEN r.sessions - r.buyers
                         - coalesce(lead(r.sessions - r.buyers) OVER own, 0) END AS left_here
        FROM reached r, list l WINDOW own AS (PARTITION BY r.is_now ORDER BY r.place)
    ), branch AS (
        SELECT t.is_now, b.sort, b.stage, b.sessions, t.viewed AS previous, b.sort < 16,
               CASE WHEN b.sort = 15 THEN b.sessions ELSE 0 END
        FROM list l, total t JOIN reached r USING (is_now), LATERAL (VALUES
            (10, 'view', t.viewed, NOT l.from_view),
            (11, 'purchase after cart, not all stages', t.via_cart - r.sessions,
             l.is_branch AND l.has_cart AND l.n > 3),
            (11, 'purchase after cart', t.via_cart, NOT l.is_branch),
            (12, 'purchase without ' || CASE WHEN l.n > 3 THEN 'all stages' ELSE l.stages[2] END,
             t.bought_after_view - r.sessions, l.is_branch AND NOT l.has_cart AND l.n > 2),
            (13, 'purchase without cart', t.bought_after_view - t.via_cart,
             l.has_cart OR NOT l.is_branch),
            (14, 'purchase before view', t.buyers - t.bought_after_view, true),
            (15, 'left', t.viewed - t.buyers, true),
            (16, 'purchase without view', t.orders - t.buyers, true))
            AS b(sort, stage, sessions, is_shown)
        WHERE r.place = l.n AND b.is_shown
    ), line AS (
        SELECT * FROM step UNION ALL SELECT * FROM branch
    )
    SELECT (row_number() OVER (ORDER BY n.sort))::smallint, n.stage, n.sessions::bigint,
           CASE WHEN n.of_viewers THEN round(n.sessions / nullif(t.viewed, 0), 4) END,
           CASE WHEN n.sort < 16
                THEN round(n.sessions / nullif(coalesce(n.previous, n.sessions), 0), 4) END,
           n.left_here::bigint, b.sessions::bigint,
           CASE WHEN n.of_viewers THEN round(b.sessions / nullif(tb.viewed, 0), 4) END
    FROM line n JOIN line b ON b.sort = n.sort AND n.is_now AND NOT b.is_now
    JOIN total t ON t.is_now JOIN total tb ON NOT tb.is_now
    ORDER BY n.sort
$$;
COMMENT ON FUNCTION reporting.funnel_by_session(date, date) IS
    'Funnel by session. First the stages (reporting.stages) in order, each at or after the one '
    'before: with the default stages view, cart after view, purchase after cart. Then the other '
    'branches of the viewers: bought after a cart without all stages in order (if there are more '
    'than three), bought without a cart, bought only before the first view, left without a '
    'purchase. The last stage, if it is purchase, and these branches add up to the viewers. At the '
    'end: orders without a view, which are not viewers. Within a UTC day: a session of two days '
    'counts in both. left_here: went no further and bought nothing; the stages add up to the row '
    'left. Null: not counted, because view is in the middle of the stages.';

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
               purchases_per_view_before numeric, checkouts bigint, checkouts_per_cart numeric,
               purchases_per_checkout numeric)
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
                 / nullif(sum(c.views) FILTER (WHERE NOT now), 0), 4),
           sum(c.checkouts) FILTER (WHERE now)::bigint,
           round(sum(c.checkouts) FILTER (WHERE now)
                 / nullif(sum(c.carts) FILTER (WHERE now), 0), 4),
           round(sum(c.purchases) FILTER (WHERE now)
                 / nullif(sum(c.checkouts) FILTER (WHERE now), 0), 4)
    FROM mart.category_days c, LATERAL (SELECT event_date >= from_day AS now) AS w
    WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
    GROUP BY c.category HAVING bool_or(now) ORDER BY 2 DESC, 1
$$;
COMMENT ON FUNCTION reporting.funnel_by_category(date, date) IS
    'Funnel by event of each category code, most viewed first.';
