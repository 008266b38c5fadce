-- What is stored and not yet in the reports. pg-loader --wait-idle waits until it is nothing.

CREATE OR REPLACE FUNCTION reporting.waiting(
    OUT events bigint, OUT visits bigint, OUT segments bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (SELECT coalesce(sum(b.events), 0) FROM processed.load_batches b),
           (SELECT count(*) FROM processed.visit_deltas),
           (SELECT count(*)
            FROM (SELECT DISTINCT p.segment, p.run FROM processed.segment_partitions p) AS p
            LEFT JOIN reporting.segments s USING (segment, run)
            WHERE s.complete IS NOT TRUE
                  AND mart.segment_waits_for(p.segment, p.run) IS NULL)
$$;
COMMENT ON FUNCTION reporting.waiting() IS
    'What is stored and not yet in the reports: events, sums of visits, and segments all of whose '
    'rows are stored. All are 0 when the reports have everything.';
