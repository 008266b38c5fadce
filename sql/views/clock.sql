-- The clock of the data. In a replay the data is of another day than the wall clock, so reports
-- take now from the data: now is the end of the newest minute that has an event in the rollup
-- 1m:all. It is defined here and nowhere else.

CREATE OR REPLACE VIEW reporting.data_clock AS
SELECT window_end AS now, (window_start AT TIME ZONE 'UTC')::date AS today
FROM processed.funnel_aggregates WHERE rollup = '1m:all' ORDER BY window_start DESC LIMIT 1;
COMMENT ON VIEW reporting.data_clock IS
    'Now, as the data has it: one row, or none where there is no data.';
COMMENT ON COLUMN reporting.data_clock.now IS
    'End of the newest minute with an event (rollup 1m:all), so that all of it lies before now.';
COMMENT ON COLUMN reporting.data_clock.today IS 'UTC day of that minute.';
