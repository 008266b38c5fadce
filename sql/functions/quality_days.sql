-- Quality of each UTC day of the data. Today is the newest day that has an event.
--
-- Events know their day. Rows that bronze-sink refused have none, and its counts are cumulative. So
-- what came between two refreshes counts for the day of the second one.

CREATE OR REPLACE FUNCTION mart.quality_day() RETURNS date LANGUAGE sql STABLE AS $$
    SELECT greatest((SELECT today FROM reporting.data_clock),
                    (SELECT max(event_date) FROM mart.hour_totals))
$$;
COMMENT ON FUNCTION mart.quality_day() IS 'Today by the data; null if there is no event.';

-- How much of a cumulative count is of today.
CREATE OR REPLACE FUNCTION mart.count_of_today(name text, total numeric) RETURNS numeric
LANGUAGE sql AS $$
    INSERT INTO mart.quality_counts AS t
    VALUES (name, mart.quality_day(), 0, coalesce(total, 0))
    ON CONFLICT (counter) DO UPDATE SET
        base = least(CASE WHEN t.day < excluded.day THEN t.newest ELSE t.base END,
                     excluded.newest),
        newest = excluded.newest, day = greatest(t.day, excluded.day)
    RETURNING newest - base
$$;

-- After topics were emptied, the counts of bronze-sink begin again: fewer rows than before.
CREATE OR REPLACE FUNCTION mart.follow_emptied_topics() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.quality_counts
    WHERE counter NOT LIKE 'loader_rejects:%'
          AND (SELECT q.newest FROM mart.quality_counts q WHERE q.counter = 'rows_in')
              > (SELECT coalesce(sum(records_in), 0) FROM processed.counts
                 WHERE service = 'bronze-sink')
$$;

-- Too few events are as bad as too many.
CREATE OR REPLACE FUNCTION mart.put_measure(
    layer text, check_name text, subject text, value numeric, volume numeric DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
    WITH measure AS (
        SELECT CASE WHEN check_name = 'layer_difference' THEN abs(value) ELSE value END AS value
    ), today AS (
        INSERT INTO mart.quality_measures AS t
        SELECT layer, check_name, subject, m.value, now(), volume FROM measure m
        ON CONFLICT (layer, check_name, subject) DO UPDATE
        SET value = excluded.value, measured_at = excluded.measured_at, volume = excluded.volume
    )
    INSERT INTO mart.quality_days AS t
    SELECT day, layer, check_name, subject, m.value, volume, now()
    FROM measure m, mart.quality_day() AS day WHERE day IS NOT NULL
    ON CONFLICT (day, layer, check_name, subject) DO UPDATE
    SET value = excluded.value, measured_at = excluded.measured_at, volume = excluded.volume
$$;

CREATE OR REPLACE FUNCTION mart.missing_values(day date)
RETURNS TABLE (check_name text, share numeric, events numeric) LANGUAGE sql STABLE AS $$
    SELECT s.name, round(s.n / nullif(h.events, 0), 4), h.events
    FROM (SELECT sum(t.events) AS events, sum(without_category) AS category,
                 sum(without_brand) AS brand, sum(without_price) AS price,
                 sum(without_session) AS session, sum(zero_price) AS zero
          FROM mart.hour_totals t WHERE t.event_date = day) AS h,
         LATERAL (VALUES ('share_without_category', h.category), ('share_without_brand', h.brand),
                         ('share_without_price', h.price), ('share_without_session', h.session),
                         ('share_zero_price', h.zero)) AS s(name, n)
$$;
COMMENT ON FUNCTION mart.missing_values(date) IS
    'Shares of the events of a UTC day that lack a field.';

-- Today, and the days of the events that this refresh has counted.
CREATE OR REPLACE FUNCTION mart.measure_missing_values() RETURNS void LANGUAGE sql AS $$
    SELECT mart.put_measure('raw', m.check_name, '', m.share, m.events)
    FROM mart.missing_values(mart.quality_day()) AS m;
    INSERT INTO mart.quality_days AS t
    SELECT d.event_date, 'raw', m.check_name, '', m.share, m.events, now()
    FROM (SELECT DISTINCT event_date FROM mart.new_batches) AS d,
         LATERAL mart.missing_values(d.event_date) AS m
    WHERE d.event_date < mart.quality_day()
    ON CONFLICT (day, layer, check_name, subject) DO UPDATE
    SET value = excluded.value, measured_at = excluded.measured_at, volume = excluded.volume
    WHERE (t.value, t.volume) IS DISTINCT FROM (excluded.value, excluded.volume);
$$;

CREATE OR REPLACE FUNCTION mart.measure_shares() RETURNS void LANGUAGE sql AS $$
    SELECT mart.follow_emptied_topics();
    WITH total AS (
        SELECT sum(records_in) FILTER (WHERE service = 'bronze-sink') AS rows_in,
               sum(duplicates) FILTER (WHERE service = 'bronze-sink') AS duplicates,
               sum(dead) FILTER (WHERE service = 'bronze-sink') AS dead,
               sum(late) FILTER (WHERE service = 'funnel-aggregator'
                                       AND topic LIKE '%bronze\_events') AS late,
               sum(records_in) FILTER (WHERE service = 'funnel-aggregator'
                                             AND topic LIKE '%bronze\_events') AS late_of
        FROM processed.counts
    ), today AS MATERIALIZED (
        SELECT mart.count_of_today('rows_in', rows_in) AS rows_in,
               mart.count_of_today('duplicates', duplicates) AS duplicates,
               mart.count_of_today('dead', dead) AS dead, mart.count_of_today('late', late) AS late,
               mart.count_of_today('late_of', late_of) AS late_of
        FROM total
    )
    SELECT mart.put_measure(m.layer, m.name, '', round(m.n / nullif(m.of, 0), 4), m.of)
    FROM today, LATERAL (VALUES ('bronze', 'duplicate_share', duplicates, rows_in),
                                ('bronze', 'reject_share', dead, rows_in),
                                ('processed', 'late_share', late, late_of))
                        AS m(layer, name, n, of);
    SELECT mart.put_measure('raw', 'loader_rejects', r.reason,
                            mart.count_of_today('loader_rejects:' || r.reason, r.n))
    FROM (SELECT reason, count(*) AS n FROM raw.dead_letters WHERE stage = 'loader'
          GROUP BY reason) AS r;
$$;
COMMENT ON FUNCTION mart.measure_shares() IS
    'Shares of the rows that came today, and the records that the database refused today.';

-- The views call it. A measure without volume has no minimum.
CREATE OR REPLACE FUNCTION mart.is_breach(
    value numeric, volume numeric, minimum numeric, maximum numeric, minimum_volume bigint)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(value < minimum OR value > maximum, false)
           AND coalesce(volume >= minimum_volume, true)
$$;
