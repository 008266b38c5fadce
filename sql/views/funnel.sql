-- The funnel as the stream counted it, from its rollups and visits. A rate is null if its divisor
-- is 0, or if one of its types is not a stage (reporting.stages). Sessions are exact distinct
-- counts of one window and group: no view here adds them up over windows or groups.

CREATE OR REPLACE VIEW reporting.funnel_by_day AS
SELECT (window_start AT TIME ZONE 'UTC')::date                           AS day,
       views, carts, removes, checkouts, purchases, revenue,
       sessions, view_sessions, cart_sessions,
       purchase_sessions                                                 AS orders,
       funnel_cart_sessions, funnel_checkout_sessions, funnel_purchase_sessions,
       mart.stage_rate(p.view_to_cart, funnel_cart_sessions, view_sessions)
           AS view_to_cart_rate,
       mart.stage_rate(p.cart_to_purchase, funnel_purchase_sessions, funnel_cart_sessions)
           AS cart_to_purchase_rate,
       mart.stage_rate(p.view_to_purchase, funnel_purchase_sessions, view_sessions)
           AS view_to_purchase_rate,
       round(revenue / nullif(purchase_sessions, 0), 2)                  AS average_order_value,
       final,
       view_cart_purchase_sessions                                       AS bought_via_cart,
       view_purchase_sessions - view_cart_purchase_sessions              AS bought_without_cart,
       buying_view_sessions - view_purchase_sessions                     AS bought_before_view,
       view_sessions - buying_view_sessions                              AS left_without_purchase,
       purchase_sessions - buying_view_sessions                          AS orders_without_view,
       mart.stage_rate(p.view_to_checkout, funnel_checkout_sessions, view_sessions)
           AS view_to_checkout_rate,
       mart.stage_rate(p.cart_to_checkout, funnel_checkout_sessions, funnel_cart_sessions)
           AS cart_to_checkout_rate,
       mart.stage_rate(p.checkout_to_purchase, funnel_purchase_sessions, funnel_checkout_sessions)
           AS checkout_to_purchase_rate
FROM processed.funnel_aggregates, mart.stage_rates p
WHERE rollup = '1d:all';
COMMENT ON VIEW reporting.funnel_by_day IS
    'The funnel of each UTC day. The ordered columns and rates count the stages in '
    'order, each at or after the one before, all within the day. A type that is not a stage has 0 '
    'sessions in order and no rates. view_sessions = bought_via_cart + '
    'bought_without_cart + bought_before_view + left_without_purchase.';
COMMENT ON COLUMN reporting.funnel_by_day.bought_via_cart IS
    'Viewers with a purchase at or after their first view and a cart between. This column and the '
    'next four are null if the window began before buyers were counted.';
COMMENT ON COLUMN reporting.funnel_by_day.bought_without_cart IS
    'Viewers with a purchase at or after their first view, and no cart between.';
COMMENT ON COLUMN reporting.funnel_by_day.bought_before_view IS
    'Viewers whose purchases were all before their first view.';
COMMENT ON COLUMN reporting.funnel_by_day.left_without_purchase IS 'Viewers without a purchase.';
COMMENT ON COLUMN reporting.funnel_by_day.orders_without_view IS
    'Sessions with a purchase and without a view. They are not viewers.';
COMMENT ON COLUMN reporting.funnel_by_day.orders IS
    'Sessions with a purchase: several purchase events of one session are one order.';
COMMENT ON COLUMN reporting.funnel_by_day.final IS
    'The day is closed; before, the numbers still grow.';

CREATE OR REPLACE VIEW reporting.funnel_by_minute AS
SELECT window_start AS minute, views, carts, removes, checkouts, purchases, revenue, sessions,
       view_sessions, purchase_sessions AS orders, funnel_cart_sessions, funnel_purchase_sessions,
       final,
       view_cart_purchase_sessions                                       AS bought_via_cart,
       view_purchase_sessions - view_cart_purchase_sessions              AS bought_without_cart,
       buying_view_sessions - view_purchase_sessions                     AS bought_before_view,
       view_sessions - buying_view_sessions                              AS left_without_purchase,
       purchase_sessions - buying_view_sessions                          AS orders_without_view,
       funnel_checkout_sessions
FROM processed.funnel_aggregates
WHERE rollup = '1m:all';
COMMENT ON VIEW reporting.funnel_by_minute IS
    'The live funnel. No rates: within one minute few sessions get from a view to a purchase. The '
    'branches of its viewers are named as in funnel_by_day.';

CREATE OR REPLACE VIEW reporting.funnel_by_minute_category AS
SELECT window_start AS minute, group_value AS category_level1, views, carts, removes, checkouts,
       purchases, revenue, sessions, final
FROM processed.funnel_aggregates WHERE rollup = '1m:category1';
COMMENT ON VIEW reporting.funnel_by_minute_category IS
    'Each minute by the first level of the category (unknown where the event has none). Events '
    'and revenue add up to those of funnel_by_minute; sessions do not.';

CREATE OR REPLACE VIEW reporting.funnel_by_hour_category AS
SELECT window_start                                                      AS hour,
       group_value                                                       AS category,
       split_part(group_value, '.', 1)                                   AS category_level1,
       views, carts, removes, checkouts, purchases, revenue,
       sessions, view_sessions, cart_sessions,
       purchase_sessions                                                 AS orders,
       funnel_cart_sessions, funnel_checkout_sessions, funnel_purchase_sessions,
       mart.stage_rate(p.view_to_cart, funnel_cart_sessions, view_sessions)
           AS view_to_cart_rate,
       mart.stage_rate(p.cart_to_purchase, funnel_purchase_sessions, funnel_cart_sessions)
           AS cart_to_purchase_rate,
       mart.stage_rate(p.view_to_purchase, funnel_purchase_sessions, view_sessions)
           AS view_to_purchase_rate,
       final,
       view_cart_purchase_sessions                                       AS bought_via_cart,
       view_purchase_sessions - view_cart_purchase_sessions              AS bought_without_cart,
       buying_view_sessions - view_purchase_sessions                     AS bought_before_view,
       view_sessions - buying_view_sessions                              AS left_without_purchase,
       purchase_sessions - buying_view_sessions                          AS orders_without_view,
       mart.stage_rate(p.view_to_checkout, funnel_checkout_sessions, view_sessions)
           AS view_to_checkout_rate,
       mart.stage_rate(p.cart_to_checkout, funnel_checkout_sessions, funnel_cart_sessions)
           AS cart_to_checkout_rate,
       mart.stage_rate(p.checkout_to_purchase, funnel_purchase_sessions, funnel_checkout_sessions)
           AS checkout_to_purchase_rate
FROM processed.funnel_aggregates, mart.stage_rates p
WHERE rollup = '1h:category';
COMMENT ON VIEW reporting.funnel_by_hour_category IS
    'The funnel of each hour and category code (unknown where the event has none), stages counted '
    'within that hour and category. The branches of its viewers are named as in funnel_by_day.';

CREATE OR REPLACE VIEW reporting.funnel_now AS
WITH newest AS (
    SELECT window_start AS minute FROM processed.funnel_aggregates WHERE rollup = '1m:all'
    ORDER BY window_start DESC LIMIT 1
), span AS (
    SELECT s.* FROM newest, LATERAL (VALUES
        (1, 'last minute', minute, minute - interval '1 minute', interval '1 minute'),
        (2, 'last hour', minute - interval '59 minutes', minute - interval '119 minutes',
         interval '60 minutes'),
        (3, 'today', date_trunc('day', minute, 'UTC'),
         date_trunc('day', minute, 'UTC') - interval '1 day',
         minute + interval '1 minute' - date_trunc('day', minute, 'UTC')))
        AS s(position, span, starts, before_starts, length)
)
SELECT s.position, s.span, s.starts, s.starts + s.length AS ends, n.views, n.carts, n.checkouts,
       n.purchases, n.revenue,
       round(n.purchases::numeric / nullif(n.views, 0), 4) AS purchases_per_view,
       b.views AS views_before, b.carts AS carts_before, b.purchases AS purchases_before,
       b.revenue AS revenue_before,
       round(b.purchases::numeric / nullif(b.views, 0), 4) AS purchases_per_view_before
FROM span s
CROSS JOIN LATERAL (SELECT coalesce(sum(views), 0)::bigint AS views,
                           coalesce(sum(carts), 0)::bigint AS carts,
                           coalesce(sum(checkouts), 0)::bigint AS checkouts,
                           coalesce(sum(purchases), 0)::bigint AS purchases,
                           coalesce(sum(revenue), 0) AS revenue
                    FROM processed.funnel_aggregates
                    WHERE rollup = '1m:all' AND window_start >= s.starts
                          AND window_start < s.starts + s.length) AS n
CROSS JOIN LATERAL (SELECT coalesce(sum(views), 0)::bigint AS views,
                           coalesce(sum(carts), 0)::bigint AS carts,
                           coalesce(sum(purchases), 0)::bigint AS purchases,
                           coalesce(sum(revenue), 0) AS revenue
                    FROM processed.funnel_aggregates
                    WHERE rollup = '1m:all' AND window_start >= s.before_starts
                          AND window_start < s.before_starts + s.length) AS b;
COMMENT ON VIEW reporting.funnel_now IS
    'Events of the last minute, hour and day of the data (up to its newest minute), each next to '
    'the minute and hour before, and to yesterday up to the same time. Read from the live rollup '
    '1m:all, so as fresh as pg-loader.';

CREATE OR REPLACE VIEW reporting.drop_off AS
SELECT (visit_start AT TIME ZONE 'UTC')::date       AS day,
       furthest_stage,
       mart.left_after(drop_off_stage, furthest_stage, views, purchases, view_to_cart_ms,
                       view_to_purchase_ms, view_cart_purchase)
                                                    AS left_after,
       count(*)                                     AS visits,
       round(count(*)::numeric
             / sum(count(*)) OVER (PARTITION BY (visit_start AT TIME ZONE 'UTC')::date), 4)
                                                    AS share_of_visits,
       sum(revenue)                                 AS revenue,
       round(avg(duration_ms) / 1000.0, 1)          AS average_duration_s,
       count(*) FILTER (WHERE NOT final)            AS open_visits
FROM processed.session_funnels
GROUP BY 1, 2, 3;
COMMENT ON VIEW reporting.drop_off IS
    'Where visits of each UTC day ended: by the furthest stage reached in order. A visit that '
    'bought did not leave: see reporting.visit_days.left_after.';
