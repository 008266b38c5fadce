-- What is stored and not yet in the reports. pg-loader --wait-idle waits until nothing is.

CREATE OR REPLACE FUNCTION reporting.waiting(
    OUT events bigint, OUT visits bigint, OUT late bigint, OUT segments bigint, OUT stages bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (SELECT coalesce(sum(b.events), 0) FROM processed.load_batches b),
           (SELECT count(*) FROM processed.visit_deltas),
           (SELECT count(*) FROM processed.late_deltas),
           (SELECT count(*)
            FROM (SELECT DISTINCT p.segment, p.run FROM processed.segment_partitions p) AS p
            LEFT JOIN reporting.segments s USING (segment, run)
            WHERE s.complete IS NOT TRUE
                  AND mart.segment_waits_for(p.segment, p.run) IS NULL),
           (SELECT count(*) FROM mart.state s WHERE s.stages IS DISTINCT FROM processed.stages())
$$;
COMMENT ON FUNCTION reporting.waiting() IS
    'What is stored and not yet in the reports: events, sums of visits and of late events, '
    'segments all of whose rows are stored, and a changed list of stages. All are 0 when the '
    'reports have everything, apart from named funnels (reporting.funnel_trend) and from buyers, '
    'paths and baskets, which follow later.';
