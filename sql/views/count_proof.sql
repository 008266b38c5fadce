CREATE OR REPLACE VIEW reporting.count_proof AS
SELECT topic, partition, records_in, records_out, duplicates, dead,
       records_in = records_out + duplicates + dead AS balanced,
       dead_by_reason, revision, updated_at, duplicates_other_price, unreadable_by_field
FROM processed.counts
WHERE service = 'bronze-sink';
COMMENT ON VIEW reporting.count_proof IS
    'Proof that nothing was dropped silently: every row read was passed on, was a duplicate, or '
    'is a dead letter. Per partition of the raw topic, cumulative.';
COMMENT ON COLUMN reporting.count_proof.duplicates_other_price IS
    'Of duplicates: rows whose price differs from that of the first copy.';
COMMENT ON COLUMN reporting.count_proof.unreadable_by_field IS
    'Of records_out: rows whose optional field could not be read and is null, by field.';
COMMENT ON COLUMN reporting.count_proof.balanced IS
    'records_in = records_out + duplicates + dead. False is a defect.';
