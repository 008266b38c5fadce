-- The funnel with late events folded in (functions/late_fold.sql).

CREATE OR REPLACE VIEW reporting.funnel_corrected AS
SELECT rollup, window_start, window_end, group_value,
       CASE WHEN f.late_events IS NULL THEN a.views ELSE f.views END AS views,
       CASE WHEN f.late_events IS NULL THEN a.carts ELSE f.carts END AS carts,
       CASE WHEN f.late_events IS NULL THEN a.removes ELSE f.removes END AS removes,
       CASE WHEN f.late_events IS NULL THEN a.checkouts ELSE f.checkouts END AS checkouts,
       CASE WHEN f.late_events IS NULL THEN a.purchases ELSE f.purchases END AS purchases,
       CASE WHEN f.late_events IS NULL THEN a.revenue ELSE f.revenue END AS revenue,
       CASE WHEN f.late_events IS NULL THEN a.sessions ELSE f.sessions END AS sessions,
       CASE WHEN f.late_events IS NULL THEN a.view_sessions ELSE f.view_sessions END
           AS view_sessions,
       CASE WHEN f.late_events IS NULL THEN a.cart_sessions ELSE f.cart_sessions END
           AS cart_sessions,
       CASE WHEN f.late_events IS NULL THEN a.purchase_sessions ELSE f.purchase_sessions END
           AS purchase_sessions,
       CASE WHEN f.late_events IS NULL THEN a.funnel_cart_sessions ELSE f.funnel_cart_sessions END
           AS funnel_cart_sessions,
       CASE WHEN f.late_events IS NULL THEN a.funnel_checkout_sessions
            ELSE f.funnel_checkout_sessions END AS funnel_checkout_sessions,
       CASE WHEN f.late_events IS NULL THEN a.funnel_purchase_sessions
            ELSE f.funnel_purchase_sessions END AS funnel_purchase_sessions,
       coalesce(a.final, true) AS final,
       coalesce(f.late_events, 0) AS late_events,
       CASE WHEN f.late_events IS NULL THEN a.buying_view_sessions ELSE f.buying_view_sessions END
           AS buying_view_sessions,
       CASE WHEN f.late_events IS NULL THEN a.view_purchase_sessions
            ELSE f.view_purchase_sessions END AS view_purchase_sessions,
       CASE WHEN f.late_events IS NULL THEN a.view_cart_purchase_sessions
            ELSE f.view_cart_purchase_sessions END AS view_cart_purchase_sessions
FROM (SELECT a.*, a.revision AS stream_revision FROM processed.funnel_aggregates a) AS a
FULL JOIN (SELECT * FROM processed.late_corrections f
           WHERE NOT EXISTS (SELECT FROM processed.funnel_aggregates a
                             WHERE a.rollup = f.rollup AND a.window_start = f.window_start
                                   AND a.window_end = f.window_end
                                   AND a.group_value = f.group_value
                                   AND a.revision IS DISTINCT FROM f.stream_revision)) AS f
     USING (rollup, window_start, window_end, group_value);
COMMENT ON VIEW reporting.funnel_corrected IS
    'Every rollup as the stream counted it; rows that late events are missing from are replaced by '
    'their recount, once processed.fold_late has made it. Counts of sessions do not add up over '
    'windows or groups.';
COMMENT ON COLUMN reporting.funnel_corrected.late_events IS
    'Late events in the recount; 0: the row is the stream''s own.';

CREATE OR REPLACE VIEW reporting.funnel_by_day_corrected AS
SELECT (window_start AT TIME ZONE 'UTC')::date AS day,
       views, carts, removes, checkouts, purchases, revenue, sessions, view_sessions, cart_sessions,
       purchase_sessions AS orders,
       funnel_cart_sessions, funnel_checkout_sessions, funnel_purchase_sessions,
       mart.stage_rate(p.view_to_cart, funnel_cart_sessions, view_sessions)
           AS view_to_cart_rate,
       mart.stage_rate(p.cart_to_purchase, funnel_purchase_sessions, funnel_cart_sessions)
           AS cart_to_purchase_rate,
       mart.stage_rate(p.view_to_purchase, funnel_purchase_sessions, view_sessions)
           AS view_to_purchase_rate,
       round(revenue / nullif(purchase_sessions, 0), 2) AS average_order_value,
       final, late_events,
       view_cart_purchase_sessions AS bought_via_cart,
       view_purchase_sessions - view_cart_purchase_sessions AS bought_without_cart,
       buying_view_sessions - view_purchase_sessions AS bought_before_view,
       view_sessions - buying_view_sessions AS left_without_purchase,
       purchase_sessions - buying_view_sessions AS orders_without_view,
       mart.stage_rate(p.view_to_checkout, funnel_checkout_sessions, view_sessions)
           AS view_to_checkout_rate,
       mart.stage_rate(p.cart_to_checkout, funnel_checkout_sessions, funnel_cart_sessions)
           AS cart_to_checkout_rate,
       mart.stage_rate(p.checkout_to_purchase, funnel_purchase_sessions, funnel_checkout_sessions)
           AS checkout_to_purchase_rate
FROM reporting.funnel_corrected, mart.stage_rates p
WHERE rollup = '1d:all';
COMMENT ON VIEW reporting.funnel_by_day_corrected IS
    'reporting.funnel_by_day with late events, as far as processed.fold_late has recounted them.';
