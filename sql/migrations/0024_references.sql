-- More of data quality, and what analysts read of processed.
--
-- The facts are views, so no foreign key can hold them: their references are counted, with a threshold of 0. A visit's categories and
-- day, and the type of an event, were missing from that. Completeness says per layer how much of what came is there.

INSERT INTO reporting.data_quality_thresholds VALUES
    ('completeness', NULL, NULL, 'raw: events stored, of those that bronze-sink passed on; reporting: events counted, of those stored. Below 1 while loading; a minimum makes a breach of it')
ON CONFLICT DO NOTHING;

CREATE FUNCTION mart.measure_references() RETURNS void LANGUAGE sql AS $$
    -- A visit may come before its events are counted, but not when nothing waits.
    SELECT mart.put_measure('processed', 'orphans', 'visits without a category',
        (SELECT count(*) FROM (SELECT first_category AS category FROM processed.session_funnels UNION SELECT last_category FROM processed.session_funnels) AS named
         WHERE category IS NOT NULL AND NOT EXISTS (SELECT FROM mart.dim_categories c WHERE c.category = named.category)))
    WHERE NOT EXISTS (SELECT FROM processed.load_batches);
    SELECT mart.put_measure('processed', 'orphans', 'visits without a date',
        (SELECT count(*) FROM mart.visit_days v WHERE NOT EXISTS (SELECT FROM mart.dim_dates d WHERE d.date_key = v.visit_date)));
    SELECT mart.put_measure('raw', 'orphans', 'events without a type',
        (SELECT coalesce(sum(events - views - carts - removes - checkouts - purchases), 0) FROM mart.hour_totals));
$$;
COMMENT ON FUNCTION mart.measure_references() IS 'References that measure_layers does not look at. Of categories the distinct ones are counted, not the visits.';
ALTER FUNCTION mart.measure_deep() RENAME TO measure_layers;
CREATE FUNCTION mart.measure_deep() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM mart.measure_layers();
    PERFORM mart.measure_references();
END
$body$;

CREATE FUNCTION mart.measure_completeness() RETURNS void LANGUAGE sql AS $$
    WITH came AS (
        SELECT (SELECT sum(records_out) FROM processed.counts WHERE service = 'bronze-sink') AS passed_on,
               (SELECT coalesce(sum(events), 0) FROM mart.hour_totals) AS counted, (SELECT coalesce(sum(events), 0) FROM processed.load_batches) AS waiting
    )
    SELECT mart.put_measure(layer, 'completeness', '', value) FROM came, LATERAL (VALUES
        ('raw', round((counted + waiting) / nullif(passed_on, 0), 4)), ('reporting', round(counted / nullif(counted + waiting, 0), 4))) AS m(layer, value)
$$;
ALTER FUNCTION mart.measure_cheap() RENAME TO measure_counts;
CREATE FUNCTION mart.measure_cheap() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM mart.measure_counts();
    PERFORM mart.measure_completeness();
END
$body$;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA mart FROM PUBLIC;

-- Analysts read what processed holds without a true id: rollups, counts, and of visits all but session and user, whose pseudonyms are
-- in reporting.fct_session_funnel. Metabase's role has reporting alone.
DO $body$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'funnel_analyst') THEN
        GRANT USAGE ON SCHEMA processed TO funnel_analyst;
        GRANT SELECT ON processed.funnel_aggregates, processed.counts TO funnel_analyst;
        GRANT SELECT (visit_start, visit_end, views, carts, removes, checkouts, purchases, products, revenue, first_category, last_category, furthest_stage, drop_off_stage,
                      duration_ms, view_to_cart_ms, view_to_purchase_ms, final, revision, loaded_at) ON processed.session_funnels TO funnel_analyst;
    END IF;
END
$body$;
