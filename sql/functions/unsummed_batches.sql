-- The events that loaders had stored, and reports had not counted, when loaders began to store sums.
-- tables/0007_load_sums.sql leaves the notes of them in processed.unsummed_batches.
DO $body$
DECLARE
    day date;
BEGIN
    IF to_regclass('processed.unsummed_batches') IS NULL THEN
        RETURN;
    END IF;
    FOR day IN SELECT DISTINCT event_date FROM processed.unsummed_batches LOOP
        EXECUTE format($sql$
            SELECT processed.note_events(array_agg(e))
            FROM raw.events e
            JOIN (SELECT DISTINCT loaded_at, raw_partition FROM processed.unsummed_batches
                  WHERE event_date = %1$L) AS b USING (loaded_at, raw_partition)
            WHERE e.event_date = %1$L
        $sql$, day);
    END LOOP;
    DROP TABLE processed.unsummed_batches;
END
$body$;
