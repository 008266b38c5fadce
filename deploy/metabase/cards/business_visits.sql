-- The newest 200 visits of a bar. branch: the name of the bar; unset: all visits.
WITH period AS (
    SELECT greatest(reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) [[, {{from}}]]) AS first_day,
           least(today [[, {{to}}]]) AS last_day
    FROM reporting.data_clock
)
SELECT to_char(visit_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS visit, session_key AS session, outcome, entry_category,
       exit_category, views, carts, checkouts, purchases, products, revenue, duration_s, user_key
FROM period
CROSS JOIN LATERAL reporting.visits_of(first_day, last_day, coalesce([[{{branch}}, ]] NULL::text),
                                       coalesce([[{{category}}, ]] NULL::text), 200)
ORDER BY 1 DESC, 2
