-- The clock of the data. In a replay the data is of another day than the wall clock, so for reports
-- `now` comes from the data: it is the end of the newest minute that has an event in the rollup
-- 1m:all. Only this view defines it.

CREATE OR REPLACE VIEW reporting.data_clock AS
SELECT window_end AS now, (window_start AT TIME ZONE 'UTC')::date AS today
FROM processed.funnel_aggregates WHERE rollup = '1m:all' ORDER BY window_start DESC LIMIT 1;
COMMENT ON VIEW reporting.data_clock IS
    'The current time by the data: one row, or none if there is no data.';
COMMENT ON COLUMN reporting.data_clock.now IS
    'End of the newest minute with an event (rollup 1m:all), so that all of it lies before now.';
COMMENT ON COLUMN reporting.data_clock.today IS 'UTC day of that minute.';
