-- Visits by what became of them: the branches add up to the viewers.
WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
), visit AS (
    SELECT furthest_stage, left_after, sum(viewing_visits) AS viewing, sum(buying_visits) AS buying
    FROM reporting.visit_days
    WHERE day BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
      [[AND entry_category = split_part({{category}}, '.', 1)]]
    GROUP BY 1, 2
)
SELECT stage, visits::bigint
FROM (
    SELECT 1 AS step, 0 AS furthest_stage, 'viewed' AS stage, coalesce(sum(viewing), 0) AS visits FROM visit
    UNION ALL SELECT 2, 0, 'bought via cart', coalesce(sum(buying) FILTER (WHERE left_after = 'completed'), 0) FROM visit
    UNION ALL SELECT 3, 0, 'bought without cart', coalesce(sum(buying) FILTER (WHERE left_after = 'bought without cart'), 0) FROM visit
    UNION ALL SELECT 4, 0, 'bought before their first view', sum(buying) FROM visit WHERE left_after = 'bought before view'
    UNION ALL SELECT 5, furthest_stage, CASE left_after WHEN 'none' THEN 'left before the first stage'
                   WHEN 'completed' THEN 'left after ' || (SELECT replace(stage, '_', ' ') FROM reporting.stages WHERE is_last)
                   ELSE 'left after ' || replace(left_after, '_', ' ') END, sum(viewing - buying)
              FROM visit WHERE left_after NOT LIKE 'bought %' GROUP BY furthest_stage, left_after
    UNION ALL SELECT 6, 0, 'bought without a view', sum(buying) FROM visit WHERE left_after = 'bought without view'
) AS branch
WHERE step <= 3 OR visits > 0
ORDER BY step, furthest_stage
