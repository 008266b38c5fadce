-- Data quality per layer, as rows; and retention.
--
-- Every refresh measures what is cheap. What reads whole tables (distinct counts, references, agreement of the layers) is
-- measured once an hour, when nothing is waiting, and by a rebuild. A measure without a threshold is only shown.

CREATE TABLE mart.quality_measures (
    layer       text NOT NULL,
    check_name  text NOT NULL,
    subject     text NOT NULL DEFAULT '',
    value       numeric,
    measured_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (layer, check_name, subject)
);
CREATE TABLE reporting.data_quality_thresholds (
    check_name text NOT NULL PRIMARY KEY,
    minimum    numeric,
    maximum    numeric,
    meaning    text NOT NULL
);
COMMENT ON TABLE reporting.data_quality_thresholds IS 'Limits of measures; beyond them a measure is a breach. Change them to fit the source.';
INSERT INTO reporting.data_quality_thresholds VALUES
    ('unbalanced_partitions', NULL, 0, 'partitions of the raw topic where rows in = bronze + duplicates + dead letters does not hold: a defect'),
    ('reject_share', NULL, 0.05, 'rows refused, of all rows'),
    ('duplicate_share', NULL, 0.2, 'rows whose event was already there, of all rows; a replay of the same input has many'),
    ('late_share', NULL, 0.05, 'events too late for a rollup or their visit, of all events'),
    ('share_without_category', NULL, 0.6, 'events without a category code'),
    ('share_without_brand', NULL, 0.4, 'events without a brand'),
    ('share_without_price', NULL, 0.2, 'events without a price'),
    ('share_without_session', NULL, 0.1, 'events without a session'),
    ('share_zero_price', NULL, 0.05, 'events with the price 0'),
    ('loader_rejects', NULL, 0, 'records that the database refused'),
    ('dead_letters_missing', NULL, 0, 'dead letters that bronze-sink counted and that are not in raw.dead_letters'),
    ('reporting_lag_s', NULL, 300, 'seconds since the oldest event that is stored and not yet in the reports'),
    ('lost_events', NULL, 0, 'events that were deleted before the reports counted them'),
    ('orphans', NULL, 0, 'rows whose key is in no dimension'),
    ('layer_difference', NULL, 0, 'events by which one layer differs from raw.events');

CREATE VIEW reporting.data_quality AS
SELECT m.layer, m.check_name, m.subject, m.value, t.minimum, t.maximum,
       coalesce(m.value < t.minimum, false) OR coalesce(m.value > t.maximum, false) AS breached, t.meaning, m.measured_at
FROM mart.quality_measures m LEFT JOIN reporting.data_quality_thresholds t USING (check_name);
COMMENT ON VIEW reporting.data_quality IS 'Measures of each layer: bronze (what bronze-sink counted), raw, processed, reporting. subject says of what, where a check has several.';
CREATE VIEW reporting.data_quality_breaches AS SELECT * FROM reporting.data_quality WHERE breached;
COMMENT ON VIEW reporting.data_quality_breaches IS 'Measures beyond their threshold. Their number is pg-loader''s metric reporting_breaches.';

CREATE FUNCTION mart.put_measure(layer text, check_name text, subject text, value numeric) RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.quality_measures AS t VALUES (layer, check_name, subject, value, now())
    ON CONFLICT (layer, check_name, subject) DO UPDATE SET value = excluded.value, measured_at = excluded.measured_at
$$;

CREATE FUNCTION mart.measure_cheap() RETURNS void LANGUAGE sql AS $$
    WITH counted AS (
        SELECT sum(records_in) AS rows_in, sum(records_out) AS passed, sum(duplicates) AS duplicates, sum(dead) AS dead,
               count(*) FILTER (WHERE records_in <> records_out + duplicates + dead) AS unbalanced
        FROM processed.counts WHERE service = 'bronze-sink'
    ), late AS (
        SELECT sum(late) AS late, sum(records_in) AS rows_in FROM processed.counts WHERE service = 'funnel-aggregator' AND topic LIKE '%bronze_events'
    ), hour AS (
        SELECT sum(events) AS events, sum(without_category) AS category, sum(without_brand) AS brand, sum(without_price) AS price, sum(without_session) AS session,
               sum(zero_price) AS zero, max(newest_event) AS newest FROM mart.hour_totals
    ), visit AS (SELECT coalesce(sum(visits), 0) AS visits, coalesce(sum(open_visits), 0) AS open FROM mart.visit_days
    ), waiting AS (SELECT coalesce(sum(events), 0) AS events, coalesce(extract(epoch FROM now() - min(loaded_at)), 0) AS lag FROM processed.load_batches
    ), measure AS (
        SELECT m.* FROM counted c, late l, hour h, visit v, waiting w, mart.state s, LATERAL (VALUES
            ('bronze', 'rows_in', c.rows_in), ('bronze', 'rows_passed_on', c.passed), ('bronze', 'duplicates', c.duplicates), ('bronze', 'dead_letters', c.dead),
            ('bronze', 'unbalanced_partitions', c.unbalanced), ('bronze', 'duplicate_share', round(c.duplicates / nullif(c.rows_in, 0), 4)),
            ('bronze', 'reject_share', round(c.dead / nullif(c.rows_in, 0), 4)), ('processed', 'late_share', round(l.late / nullif(l.rows_in, 0), 4)),
            ('raw', 'events', coalesce(h.events, 0)), ('raw', 'share_without_category', round(h.category / nullif(h.events, 0), 4)),
            ('raw', 'share_without_brand', round(h.brand / nullif(h.events, 0), 4)), ('raw', 'share_without_price', round(h.price / nullif(h.events, 0), 4)),
            ('raw', 'share_without_session', round(h.session / nullif(h.events, 0), 4)), ('raw', 'share_zero_price', round(h.zero / nullif(h.events, 0), 4)),
            ('raw', 'newest_event_age_s', round(extract(epoch FROM now() - h.newest))), ('raw', 'newest_load_age_s', round(extract(epoch FROM now() - s.newest_load))),
            ('processed', 'visits', v.visits), ('processed', 'open_visits', v.open), ('reporting', 'events_waiting', w.events), ('reporting', 'reporting_lag_s', round(w.lag)),
            ('reporting', 'lost_events', s.lost_events)) AS m(layer, check_name, value)
    )
    SELECT mart.put_measure(layer, check_name, '', value) FROM measure;
    SELECT mart.put_measure('bronze', 'rejects', r.reason, sum(r.n::numeric)) FROM processed.counts, jsonb_each_text(dead_by_reason) AS r(reason, n)
    WHERE service = 'bronze-sink' GROUP BY r.reason;
    SELECT mart.put_measure('raw', 'loader_rejects', reason, count(*)) FROM raw.dead_letters WHERE stage = 'loader' GROUP BY reason;
$$;

CREATE FUNCTION mart.measure_deep() RETURNS void LANGUAGE sql AS $$
    SELECT mart.put_measure('bronze', 'dead_letters_missing', '',
        (SELECT coalesce(sum(dead), 0) FROM processed.counts WHERE service = 'bronze-sink') - (SELECT count(*) FROM raw.dead_letters WHERE stage = 'bronze-sink'));
    SELECT mart.put_measure('reporting', 'distinct', 'users', (SELECT count(*) FROM mart.dim_users));
    SELECT mart.put_measure('reporting', 'distinct', 'products', (SELECT count(*) FROM mart.dim_products));
    SELECT mart.put_measure('reporting', 'distinct', 'categories', (SELECT count(*) FROM mart.dim_categories WHERE category <> 'unknown'));
    SELECT mart.put_measure('reporting', 'distinct', 'brands', (SELECT count(DISTINCT brand) FROM mart.brand_days WHERE brand <> 'unknown'));
    SELECT mart.put_measure('reporting', 'distinct', 'session days', (SELECT coalesce(sum(sessions), 0) FROM mart.day_totals));

    SELECT mart.put_measure('reporting', 'orphans', 'session days without a user',
        (SELECT count(*) FROM mart.session_days d WHERE NOT EXISTS (SELECT FROM mart.dim_users u WHERE u.user_id = d.user_id)));
    SELECT mart.put_measure('reporting', 'orphans', 'product days without a product',
        (SELECT count(*) FROM mart.product_days d WHERE NOT EXISTS (SELECT FROM mart.dim_products p WHERE p.product_id = d.product_id)));
    SELECT mart.put_measure('reporting', 'orphans', 'category days without a category',
        (SELECT count(*) FROM mart.category_days d WHERE NOT EXISTS (SELECT FROM mart.dim_categories c WHERE c.category = d.category)));
    SELECT mart.put_measure('reporting', 'orphans', 'hours without a date',
        (SELECT count(*) FROM mart.hour_totals h WHERE NOT EXISTS (SELECT FROM mart.dim_dates d WHERE d.date_key = h.event_date)));
    -- A visit may come before its events are counted, but not when nothing waits.
    SELECT mart.put_measure('processed', 'orphans', 'visits without a user',
        (SELECT count(*) FROM processed.session_funnels v WHERE NOT EXISTS (SELECT FROM mart.dim_users u WHERE u.user_id = v.user_id)))
    WHERE NOT EXISTS (SELECT FROM processed.load_batches);

    WITH hour AS (SELECT coalesce(sum(events), 0) AS events FROM mart.hour_totals)
    SELECT mart.put_measure('reporting', 'layer_difference', m.subject, m.events - h.events) FROM hour h, LATERAL (VALUES
        ('product days', (SELECT coalesce(sum(views + carts + removes + checkouts + purchases), 0) FROM mart.product_days)),
        ('session days', (SELECT coalesce(sum(views + carts + removes + checkouts + purchases), 0) FROM mart.session_days)),
        ('users', (SELECT coalesce(sum(events), 0) FROM mart.dim_users)),
        ('clickstream_metrics', (SELECT coalesce(sum(total_events), 0) FROM reporting.clickstream_metrics))) AS m(subject, events);
    WITH day AS (SELECT max(event_date) AS newest FROM mart.hour_totals)
    SELECT mart.put_measure('raw', 'layer_difference', 'newest day', (SELECT count(*) FROM raw.events e WHERE e.event_date = d.newest)
        - (SELECT sum(events) FROM mart.hour_totals WHERE event_date = d.newest) - (SELECT coalesce(sum(events), 0) FROM processed.load_batches WHERE event_date = d.newest))
    FROM day d WHERE d.newest >= (SELECT raw_from FROM mart.state);
    UPDATE mart.state SET quality_at = now();
$$;

CREATE FUNCTION reporting.measure_quality(deep boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_hashjoin = on SET enable_mergejoin = on SET jit = off AS $body$
BEGIN
    PERFORM mart.measure_cheap();
    IF deep THEN
        PERFORM mart.measure_deep();
    END IF;
    -- A difference is no breach when it is nothing in one direction only.
    UPDATE mart.quality_measures SET value = abs(value) WHERE check_name = 'layer_difference' AND value < 0;
END
$body$;
COMMENT ON FUNCTION reporting.measure_quality(boolean) IS 'Renews reporting.data_quality; deep: with all that reads whole tables.';

-- ---------------------------------------------------------------- retention
CREATE FUNCTION reporting.keep_raw_days(days int) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ UPDATE mart.state SET raw_days = days $$;
COMMENT ON FUNCTION reporting.keep_raw_days(int) IS 'How many days of raw.events to keep, back from its newest; null: all. Reports keep what they counted of older days.';

-- Detaching locks raw.events against everybody for a moment: not to be had within two seconds, it is tried again another time.
CREATE FUNCTION reporting.apply_retention() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' SET client_min_messages = warning AS $body$
DECLARE
    keep_from date;
    one       record;
    dropped   int := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(mart.lock_reporting()) THEN
        RETURN 0;
    END IF;
    SELECT (SELECT max(event_date) FROM mart.hour_totals) - raw_days + 1 INTO keep_from FROM mart.state;
    FOR one IN
        SELECT c.relname, to_date(substr(c.relname, 8), 'YYYY_MM_DD') AS day
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'raw.events'::regclass AND c.relname LIKE 'events\_%'
    LOOP
        -- What is not counted yet stays.
        CONTINUE WHEN one.day >= keep_from OR keep_from IS NULL OR EXISTS (SELECT FROM processed.load_batches WHERE event_date = one.day);
        EXECUTE format('ALTER TABLE raw.events DETACH PARTITION raw.%I', one.relname);
        -- Events that were stored since the look above would be lost uncounted: now nobody can store any more.
        IF EXISTS (SELECT FROM processed.load_batches WHERE event_date = one.day) THEN
            RAISE EXCEPTION 'reporting.apply_retention: events of % came just now, try again', one.day USING ERRCODE = 'lock_not_available';
        END IF;
        EXECUTE format('DROP TABLE raw.%I', one.relname);
        dropped := dropped + 1;
    END LOOP;
    IF dropped > 0 THEN
        UPDATE mart.state SET raw_from = greatest(raw_from, keep_from);
    END IF;
    RETURN dropped;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$body$;
COMMENT ON FUNCTION reporting.apply_retention() IS 'Drops days of raw.events that are older than keep_raw_days allows and are counted. Returns how many.';
