-- Data quality per layer, as rows.
--
-- Every refresh takes the cheap measures. Measures that read complete tables (distinct counts,
-- references, agreement of the layers) are taken once an hour, when no events wait, and by a
-- rebuild. A measure without a threshold is only shown. The facts are views and cannot have foreign
-- keys, so their broken references are counted, with a threshold of 0.
--
-- Shares and the records that the database refused are of today (quality_days.sql). All else is as
-- it stands now: totals, and differences that are not repaired.

CREATE OR REPLACE FUNCTION mart.measure_cheap() RETURNS void LANGUAGE sql AS $$
    WITH counted AS (
        SELECT sum(records_in) AS rows_in, sum(records_out) AS passed,
               sum(duplicates) AS duplicates, sum(dead) AS dead,
               count(*) FILTER (WHERE records_in <> records_out + duplicates + dead) AS unbalanced
        FROM processed.counts WHERE service = 'bronze-sink'
    ), hour AS (
        SELECT sum(events) AS events, max(newest_event) AS newest FROM mart.hour_totals
    ), visit AS (
        SELECT coalesce(sum(visits), 0) AS visits, coalesce(sum(open_visits), 0) AS open
        FROM mart.visit_days
    ), waiting AS (
        SELECT coalesce(sum(events), 0) AS events,
               coalesce(extract(epoch FROM now() - min(loaded_at)), 0) AS lag
        FROM processed.load_batches
    ), measure AS (
        SELECT m.* FROM counted c, hour h, visit v, waiting w, mart.state s, LATERAL (VALUES
            ('bronze', 'rows_in', c.rows_in), ('bronze', 'rows_passed_on', c.passed),
            ('bronze', 'duplicates', c.duplicates), ('bronze', 'dead_letters', c.dead),
            ('bronze', 'unbalanced_partitions', c.unbalanced),
            ('raw', 'events', coalesce(h.events, 0)),
            ('raw', 'newest_event_age_s', round(extract(epoch FROM now() - h.newest))),
            ('raw', 'newest_load_age_s', round(extract(epoch FROM now() - s.newest_load))),
            ('processed', 'visits', v.visits), ('processed', 'open_visits', v.open),
            ('reporting', 'events_waiting', w.events),
            ('reporting', 'reporting_lag_s', round(w.lag))) AS m(layer, check_name, value)
    )
    SELECT mart.put_measure(layer, check_name, '', value) FROM measure;
    SELECT mart.put_measure('bronze', 'rejects', r.reason, sum(r.n::numeric))
    FROM processed.counts, jsonb_each_text(dead_by_reason) AS r(reason, n)
    WHERE service = 'bronze-sink' GROUP BY r.reason;

    SELECT mart.measure_missing_values();
    SELECT mart.measure_shares();
    SELECT mart.measure_completeness();
    SELECT mart.measure_reconciliation();
$$;

CREATE OR REPLACE FUNCTION mart.measure_completeness() RETURNS void LANGUAGE sql AS $$
    WITH total AS (
        SELECT (SELECT sum(records_out) FROM processed.counts
                WHERE service = 'bronze-sink') AS passed_on,
               (SELECT coalesce(sum(events), 0) FROM mart.hour_totals) AS counted,
               (SELECT coalesce(sum(events), 0) FROM processed.load_batches) AS waiting
    )
    SELECT mart.put_measure(layer, 'completeness', '', value) FROM total, LATERAL (VALUES
        ('raw', round((counted + waiting) / nullif(passed_on, 0), 4)),
        ('reporting', round(counted / nullif(counted + waiting, 0), 4))) AS m(layer, value)
$$;

CREATE OR REPLACE FUNCTION mart.measure_values() RETURNS void LANGUAGE sql AS $$
    SELECT mart.put_measure('bronze', 'duplicates_other_price', '',
                            coalesce(sum(duplicates_other_price), 0))
    FROM processed.counts WHERE service = 'bronze-sink';
    WITH passed AS MATERIALIZED (
        SELECT mart.count_of_today('passed', sum(records_out)) AS events FROM processed.counts
        WHERE service = 'bronze-sink'
    ), field AS MATERIALIZED (
        SELECT f.name, sum(f.n::numeric) AS total
        FROM processed.counts, jsonb_each_text(unreadable_by_field) AS f(name, n)
        WHERE service = 'bronze-sink' GROUP BY f.name
    )
    SELECT mart.put_measure('bronze', 'unreadable_fields', f.name, f.total),
           mart.put_measure('bronze', 'unreadable_share', f.name, round(
               mart.count_of_today('unreadable:' || f.name, f.total) / nullif(p.events, 0), 4),
               p.events)
    FROM field f, passed p;
$$;
COMMENT ON FUNCTION mart.measure_values() IS
    'Measures the values that bronze-sink did not store: other prices of repeats, and unreadable '
    'optional fields.';

CREATE OR REPLACE FUNCTION mart.measure_reconciliation() RETURNS void LANGUAGE sql AS $$
    SELECT mart.put_measure('raw', 'bronze_doubles', '', coalesce(sum(actual - accepted), 0))
    FROM mart.reconciliations WHERE check_name = 'bronze doubles';
    SELECT mart.put_measure('reporting', 'reconciliation_' || c.name, '',
                            (SELECT count(*) FROM mart.reconciliations r WHERE r.state = c.state))
    FROM (VALUES ('differences', 'differs'), ('overdue', 'overdue')) AS c(name, state);
$$;

CREATE OR REPLACE FUNCTION mart.measure_deep() RETURNS void LANGUAGE sql AS $$
    SELECT mart.put_measure('bronze', 'dead_letters_missing', '',
        (SELECT coalesce(sum(dead), 0) FROM processed.counts
         WHERE service = 'bronze-sink') - (SELECT count(*) FROM raw.dead_letters
         WHERE stage = 'bronze-sink'));
    SELECT mart.put_measure('reporting', 'distinct', 'users',
                            (SELECT count(*) FROM mart.dim_users));
    SELECT mart.put_measure('reporting', 'distinct', 'products',
                            (SELECT count(*) FROM mart.dim_products));
    SELECT mart.put_measure('reporting', 'distinct', 'categories',
                            (SELECT count(*) FROM mart.dim_categories WHERE category <> 'unknown'));
    SELECT mart.put_measure('reporting', 'distinct', 'brands',
                            (SELECT count(DISTINCT brand) FROM mart.brand_days
                             WHERE brand <> 'unknown'));
    SELECT mart.put_measure('reporting', 'distinct', 'session days',
                            (SELECT coalesce(sum(sessions), 0) FROM mart.day_totals));

    SELECT mart.put_measure('reporting', 'orphans', 'session days without a user',
        (SELECT count(*) FROM mart.session_days d
         WHERE NOT EXISTS (SELECT FROM mart.dim_users u WHERE u.user_id = d.user_id)));
    SELECT mart.put_measure('reporting', 'orphans', 'product days without a product',
        (SELECT count(*) FROM mart.product_days d
         WHERE NOT EXISTS (SELECT FROM mart.dim_products p WHERE p.product_id = d.product_id)));
    SELECT mart.put_measure('reporting', 'orphans', 'category days without a category',
        (SELECT count(*) FROM mart.category_days d
         WHERE NOT EXISTS (SELECT FROM mart.dim_categories c WHERE c.category = d.category)));
    SELECT mart.put_measure('reporting', 'orphans', 'hours without a date',
        (SELECT count(*) FROM mart.hour_totals h
         WHERE NOT EXISTS (SELECT FROM mart.dim_dates d WHERE d.date_key = h.event_date)));
    WITH hour AS (SELECT coalesce(sum(events), 0) AS events FROM mart.hour_totals)
    SELECT mart.put_measure('reporting', 'layer_difference', m.subject, m.events - h.events)
    FROM hour h, LATERAL (VALUES
        ('product days', (SELECT coalesce(sum(views + carts + removes + checkouts + purchases), 0)
                          FROM mart.product_days)),
        ('session days', (SELECT coalesce(sum(views + carts + removes + checkouts + purchases), 0)
                          FROM mart.session_days)),
        ('users', (SELECT coalesce(sum(events), 0) FROM mart.dim_users)),
        ('clickstream_metrics', (SELECT coalesce(sum(total_events), 0)
                                 FROM reporting.clickstream_metrics))) AS m(subject, events);
    WITH day AS (SELECT max(event_date) AS newest FROM mart.hour_totals)
    SELECT mart.put_measure('raw', 'layer_difference', 'newest day',
        mart.count_day(d.newest)
        - (SELECT sum(events) FROM mart.hour_totals WHERE event_date = d.newest)
        - (SELECT coalesce(sum(events), 0) FROM processed.load_batches
           WHERE event_date = d.newest))
    FROM day d WHERE d.newest >= (SELECT raw_from FROM mart.state);
    UPDATE mart.state SET quality_at = now();

    SELECT mart.measure_references();
$$;

-- A visit may be loaded before its events are counted, but only while events wait. Sorting the
-- users of all visits takes half the time of looking up each one in a large hash table.
CREATE OR REPLACE FUNCTION mart.measure_visit_users() RETURNS void LANGUAGE sql
SET enable_hashjoin = off SET enable_nestloop = off AS $$
    SELECT mart.put_measure('processed', 'orphans', 'visits without a user',
        (SELECT count(*) FROM processed.session_funnels v
         WHERE NOT EXISTS (SELECT FROM mart.dim_users u WHERE u.user_id = v.user_id)))
    WHERE NOT EXISTS (SELECT FROM processed.load_batches);
$$;

CREATE OR REPLACE FUNCTION mart.measure_references() RETURNS void LANGUAGE sql AS $$
    SELECT mart.measure_visit_users();
    SELECT mart.put_measure('processed', 'orphans', 'visits without a category',
        (SELECT count(DISTINCT l.category_code)
         FROM raw.event_labels l
         WHERE NOT EXISTS (SELECT FROM mart.dim_categories d WHERE d.category = l.category_code)
               AND l.category_code IS NOT NULL
               AND l.label_id IN (SELECT first_label FROM processed.visit_rows
                                  UNION SELECT last_label FROM processed.visit_rows)))
    WHERE NOT EXISTS (SELECT FROM processed.load_batches);
    SELECT mart.put_measure('processed', 'orphans', 'visits without a date',
        (SELECT count(*) FROM mart.visit_days v
         WHERE NOT EXISTS (SELECT FROM mart.dim_dates d WHERE d.date_key = v.visit_date)));
$$;
COMMENT ON FUNCTION mart.measure_references() IS
    'Checks the references of visits and events. For categories it counts distinct values, not '
    'visits.';

CREATE OR REPLACE FUNCTION reporting.measure_quality(deep boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = on SET enable_mergejoin = on SET jit = off AS $body$
BEGIN
    -- Otherwise, this call and a refresh could wait for each other's rows.
    PERFORM pg_advisory_xact_lock(mart.lock_reporting());
    PERFORM mart.measure_cheap();
    PERFORM mart.measure_values();
    IF deep THEN
        PERFORM mart.measure_deep();
    END IF;
END
$body$;
COMMENT ON FUNCTION reporting.measure_quality(boolean) IS
    'Measures reporting.data_quality again. deep: also the measures that read complete tables.';
