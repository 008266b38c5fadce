-- The newest 200 visits of a bar, of today. branch: the name of the bar; unset: all visits.
SELECT to_char(visit_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS visit, session_key AS session, outcome, entry_category,
       exit_category, views, carts, checkouts, purchases, products, revenue, duration_s, user_key
FROM reporting.data_clock
CROSS JOIN LATERAL reporting.visits_of(today, today, coalesce([[{{branch}}, ]] NULL::text), coalesce([[{{category}}, ]] NULL::text), 200)
ORDER BY 1 DESC, 2
