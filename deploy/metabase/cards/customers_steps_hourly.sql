WITH period AS (
    SELECT reporting.period_first_day(coalesce([[{{period}}, ]] 'everything')) AS first_day, today AS last_day
    FROM reporting.data_clock
)
SELECT starts AS hour, replace(stage_before || ' to ' || stage, '_', ' ') AS step, round(100 * of_step_before, 2) AS percent
FROM period
CROSS JOIN LATERAL (
    SELECT *, lag(stage) OVER (PARTITION BY starts ORDER BY step) AS stage_before
    FROM reporting.step_trend(greatest(first_day, last_day - 6), last_day, 'hour', coalesce([[{{category}}, ]] NULL::text))) AS t
WHERE t.step > 1 AND of_step_before IS NOT NULL
ORDER BY starts, t.step
