-- session and visit: as in a list of visits.
SELECT step, to_char(event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS time, event_type, product_id, category, brand, price,
       seconds AS seconds_since_step_before, visit, this_visit
FROM reporting.session_timeline({{session}}, {{visit}}::timestamp AT TIME ZONE 'UTC')
ORDER BY step
