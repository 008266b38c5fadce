-- Less work for autovacuum, and less room for the sums that wait for a refresh.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

-- ANALYZE reads 300 rows for each unit of the largest target, and sorts them by each column. With
-- the default of 100, it reads nearly every page of a day of a million events. Plans need little of
-- it: there is no index on users, sessions or products, and queries choose days, times and types.
-- raw.ensure_event_partition() gives new days the same targets.
ALTER TABLE raw.event_rows
    ALTER event_id SET STATISTICS 10, ALTER session_id SET STATISTICS 10,
    ALTER event_time SET STATISTICS 10, ALTER user_id SET STATISTICS 10,
    ALTER product_id SET STATISTICS 10, ALTER raw_offset SET STATISTICS 10,
    ALTER raw_time SET STATISTICS 10, ALTER loaded_at SET STATISTICS 10,
    ALTER source_row SET STATISTICS 10, ALTER event_date SET STATISTICS 10,
    ALTER label_id SET STATISTICS 10, ALTER source_id SET STATISTICS 10,
    ALTER event_type SET STATISTICS 10, ALTER session_form SET STATISTICS 10,
    ALTER session_text SET STATISTICS 10, ALTER price SET STATISTICS 10;

-- A refresh deletes the sums that it has counted. A vacuum makes their room free for the next ones,
-- and returns to the system what is free at the end of the file. So a vacuum follows each refresh
-- that has deleted something, within a minute (autovacuum_naptime), also if most of the sums still
-- wait, and it does not pause. The arrays of the sums are in a TOAST table. A vacuum because of
-- inserted rows is of no use: a refresh deletes them soon.
--
-- Rejected: TRUNCATE by a refresh that leaves nothing. A transaction with an older snapshot, for
-- example pg_dump before it locks its tables, would find neither the sums nor reports with them.
ALTER TABLE processed.load_batches SET (
    toast.autovacuum_vacuum_threshold = 0, toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_insert_threshold = -1, toast.autovacuum_vacuum_cost_delay = 0);
ALTER TABLE processed.visit_deltas SET (
    autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0);
