-- The newest record that was loaded of each partition, by which pg-loader recognises the log: where a topic is deleted and created again,
-- the new log reaches every offset again, and next_offset alone would go on in the middle of it.
ALTER TABLE processed.loader_offsets ADD COLUMN last_record text;
COMMENT ON COLUMN processed.loader_offsets.last_record IS 'Newest record that was loaded: its offset, its time (ms since 1970) and a hash of its key and value. Null: none yet, or loaded by a version before this column.';
