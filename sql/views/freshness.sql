CREATE OR REPLACE VIEW reporting.freshness AS
SELECT layer, newest_data, last_change,
       round(extract(epoch FROM now() - last_change), 1) AS seconds_since_change,
       round(extract(epoch FROM last_change - newest_data), 1) AS seconds_behind_events
FROM reporting.freshness_of_layers();
COMMENT ON VIEW reporting.freshness IS
    'How fresh each layer is. Null for a layer that has nothing within a day of the newest minute.';
COMMENT ON COLUMN reporting.freshness.newest_data IS
    'Event time of the newest row: last event, start of the last minute with events, end of the '
    'latest visit.';
COMMENT ON COLUMN reporting.freshness.last_change IS
    'When the layer was last written (for rollups: its newest minute).';
COMMENT ON COLUMN reporting.freshness.seconds_behind_events IS
    'last_change minus newest_data: the delay in live traffic; the age of the data in a replay.';
