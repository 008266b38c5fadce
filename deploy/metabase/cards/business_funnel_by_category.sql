WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'last 30 days')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
), reached AS (
    SELECT entry_category AS category, sum(visits) AS visits,
           coalesce(sum(visits) FILTER (WHERE furthest_stage >= 1), 0) AS viewed,
           coalesce(sum(visits) FILTER (WHERE furthest_stage >= 2), 0) AS carted,
           coalesce(sum(visits) FILTER (WHERE furthest_stage >= 3), 0) AS bought,
           sum(revenue) AS revenue
    FROM reporting.visit_days
    WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
      [[AND entry_category = split_part({{category}}, '.', 1)]]
    GROUP BY entry_category
)
SELECT category, viewed::bigint, carted::bigint, bought::bigint,
       round(100 * (viewed - carted) / nullif(viewed, 0), 1) AS left_before_cart_percent,
       round(100 * (carted - bought) / nullif(carted, 0), 1) AS left_in_cart_percent,
       round(100 * bought / nullif(viewed, 0), 1) AS bought_percent,
       revenue
FROM reached
ORDER BY viewed DESC, category
