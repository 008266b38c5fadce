-- Times from view to cart and to purchase: how many visits of each day have each time. Read from
-- processed.visit_rows: PostgreSQL 15 uses no index-only scan for a view with joins.

CREATE OR REPLACE FUNCTION mart.conversions_of(days date[])
RETURNS TABLE (visit_date date, step smallint, ms bigint, visits bigint) LANGUAGE sql STABLE AS $$
    SELECT day, w.step::smallint, w.ms, count(*)
    FROM unnest(days) AS day
    JOIN processed.visit_rows v
         ON visit_start >= day::timestamp AT TIME ZONE 'UTC'
            AND visit_start < (day + 1)::timestamp AT TIME ZONE 'UTC',
         LATERAL (VALUES (1, view_to_cart_ms), (2, view_to_purchase_ms)) AS w(step, ms)
    WHERE (view_to_cart_ms IS NOT NULL OR view_to_purchase_ms IS NOT NULL) AND w.ms IS NOT NULL
    GROUP BY 1, 2, 3
$$;

-- Counts the visits of days again. The index on visits with such times makes this fast.
CREATE OR REPLACE FUNCTION mart.count_conversions(days date[]) RETURNS void LANGUAGE sql AS $$
    WITH now AS MATERIALIZED (
        SELECT * FROM mart.conversions_of(days)
    ), gone AS (
        DELETE FROM mart.conversion_days c
        WHERE c.visit_date = ANY (days)
              AND NOT EXISTS (SELECT FROM now n WHERE n.visit_date = c.visit_date
                                                      AND n.step = c.step AND n.ms = c.ms)
    )
    INSERT INTO mart.conversion_days
    SELECT n.* FROM now n LEFT JOIN mart.conversion_days c USING (visit_date, step, ms)
    WHERE c.visits IS DISTINCT FROM n.visits
    ON CONFLICT (visit_date, step, ms) DO UPDATE SET visits = excluded.visits
$$;

CREATE OR REPLACE FUNCTION mart.rebuild_conversions() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.conversion_days;
    INSERT INTO mart.conversion_days
    SELECT * FROM mart.conversions_of(ARRAY(SELECT DISTINCT visit_date FROM mart.visit_days))
$$;
