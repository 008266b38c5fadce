-- The events that loaders had stored, and reports had not counted, when loaders began to store
-- sums. tables/0007_load_sums.sql leaves the notes of them in processed.unsummed_batches.
-- The array of one load fits into memory; the array of all events that wait may not.
DO $body$
DECLARE
    one record;
BEGIN
    IF to_regclass('processed.unsummed_batches') IS NULL THEN
        RETURN;
    END IF;
    FOR one IN EXECUTE 'SELECT event_date, loaded_at, array_agg(raw_partition) AS partitions '
                       'FROM processed.unsummed_batches GROUP BY 1, 2 ORDER BY 2, 1'
    LOOP
        EXECUTE format($sql$
            SELECT processed.note_events(array_agg(e))
            FROM raw.event_rows e JOIN raw.event_sources s ON s.source_id = e.source_id
            WHERE e.event_date = %L AND e.loaded_at = %L AND s.raw_partition = ANY (%L::int[])
        $sql$, one.event_date, one.loaded_at, one.partitions);
    END LOOP;
    -- tables/0016_questions.sql has counted the products of all events by hour.
    UPDATE processed.load_batches SET product_hour = NULL;
    DROP TABLE processed.unsummed_batches;
END
$body$;
