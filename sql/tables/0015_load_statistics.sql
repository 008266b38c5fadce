-- ANALYZE of the arrays of processed.load_batches looks at each element, and no plan uses the
-- result. While 500,000 events wait, it took more than a second for each run of autovacuum; without
-- the arrays 10 ms. The same holds for the steps of sessions.
DO $body$
DECLARE
    array_column record;
BEGIN
    FOR array_column IN
        SELECT attrelid::regclass AS of_table, attname FROM pg_attribute
        WHERE attrelid IN ('processed.load_batches'::regclass, 'mart.session_steps'::regclass)
              AND attnum > 0 AND NOT attisdropped
              AND atttypid IN (SELECT oid FROM pg_type WHERE typcategory = 'A')
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 0', array_column.of_table,
                       array_column.attname);
    END LOOP;
END
$body$;
