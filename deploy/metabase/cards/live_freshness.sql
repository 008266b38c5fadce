-- By the wall clock: how long ago each layer was last written.
SELECT layer, newest_data, last_change, seconds_since_change
FROM reporting.freshness
ORDER BY layer
