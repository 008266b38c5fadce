SELECT segment, run, CASE WHEN complete THEN 'complete' ELSE 'waits for ' || coalesce(waiting_for, 'its end') END AS state,
       rows_announced, rows_in, stored, duplicates, rejects, completed_at
FROM reporting.segments
ORDER BY segment, run
