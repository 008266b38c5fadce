-- By the wall clock: how long ago each layer was last written, and how old its data was then.
SELECT layer, newest_data, last_change, seconds_since_change, seconds_behind_events
FROM reporting.freshness
ORDER BY layer
