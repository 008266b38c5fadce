WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
), branch AS (
    SELECT entry_category AS category, sum(viewing_visits) AS viewed,
           coalesce(sum(buying_visits) FILTER (WHERE left_after = 'completed'), 0) AS bought_via_cart,
           coalesce(sum(buying_visits) FILTER (WHERE left_after = 'bought without cart'), 0) AS bought_without_cart,
           coalesce(sum(buying_visits) FILTER (WHERE left_after = 'bought before view'), 0) AS bought_before_view,
           coalesce(sum(viewing_visits) FILTER (WHERE left_after IN ('none', 'view')), 0) AS left_after_view,
           coalesce(sum(buying_visits) FILTER (WHERE left_after = 'bought without view'), 0) AS orders_without_view,
           sum(revenue) AS revenue
    FROM reporting.visit_days
    WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
      [[AND entry_category = split_part({{category}}, '.', 1)]]
    GROUP BY entry_category
)
SELECT category, viewed::bigint, bought_via_cart::bigint, bought_without_cart::bigint, bought_before_view::bigint, left_after_view::bigint,
       (viewed - bought_via_cart - bought_without_cart - bought_before_view - left_after_view)::bigint AS left_later,
       round(100 * (bought_via_cart + bought_without_cart + bought_before_view) / nullif(viewed, 0), 1) AS bought_percent,
       orders_without_view::bigint, revenue
FROM branch
ORDER BY viewed DESC, category
