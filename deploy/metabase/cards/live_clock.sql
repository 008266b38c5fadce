SELECT to_char(now AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS now
FROM reporting.data_clock
