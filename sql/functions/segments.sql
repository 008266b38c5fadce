-- Segments: one run of the producer over one input. Its batch reports are made once, when all its
-- rows are stored.
--
-- In every partition, the producer sends a begin control and, after its last row was acknowledged,
-- an end control. pg-loader stores a control in the transaction of the records before it. So when
-- the end of a partition is stored, its rows are stored too. Dead letters and counts arrive by
-- other topics. So a segment also waits until the counts of bronze-sink include its last row, and
-- until all dead letters that these counts include are stored.
--
-- The rows of a segment are those between its begin and its end in the raw topic. If two producers
-- write at the same time, their ranges overlap: each segment then counts rows of both producers,
-- and rows_announced shows it.

-- The offset of the last row before an end. Controls are not rows, and counts do not include them.
CREATE OR REPLACE FUNCTION mart.last_row_before(a_partition int, end_offset bigint) RETURNS bigint
    LANGUAGE sql STABLE AS $$
    SELECT end_offset - 1 - coalesce((SELECT count(*) FROM (
        SELECT raw_offset,
               end_offset - raw_offset - row_number() OVER (ORDER BY raw_offset DESC) AS gap
        FROM processed.segment_controls
        WHERE partition = a_partition AND raw_offset < end_offset) AS before WHERE gap = 0), 0)
$$;

CREATE OR REPLACE FUNCTION mart.segment_waits_for(a_segment text, a_run bigint) RETURNS text
    LANGUAGE plpgsql STABLE AS $body$
DECLARE
    ends    bigint;
    awaited bigint;
    lagging bigint;
    missing bigint;
BEGIN
    SELECT count(*) FILTER (WHERE ended), max(partition_count) INTO ends, awaited
    FROM processed.segment_partitions WHERE segment = a_segment AND run = a_run;
    IF ends < awaited THEN
        RETURN format('the end in %s of %s partitions', awaited - ends, awaited);
    END IF;
    SELECT count(*) FILTER (
               WHERE rows_announced > 0
                     AND coalesce(c.revision, -1)
                         < mart.last_row_before(p.partition, p.end_offset)),
           count(*) FILTER (
               WHERE c.dead > (SELECT count(*) FROM raw.dead_letters d
                               WHERE d.stage = 'bronze-sink' AND d.source_topic = c.topic
                                     AND d.source_partition = c.partition))
    INTO lagging, missing
    FROM processed.segment_partitions p
    LEFT JOIN processed.counts c ON c.service = 'bronze-sink' AND c.partition = p.partition
    WHERE p.segment = a_segment AND p.run = a_run;
    RETURN CASE WHEN lagging > 0 THEN format('counts of %s partitions', lagging)
                WHEN missing > 0 THEN format('dead letters of %s partitions', missing) END;
END
$body$;

-- The days of which a segment has events, and whether it has all of them. If it has, the cubes have
-- its figures. The offsets of a day and its times of loading prove both, if they are those of all
-- events that the cubes have counted, and no event waits. Otherwise the events have to be read.
-- Times of loading distinguish a topic from an earlier one of the same name.
CREATE OR REPLACE FUNCTION mart.segment_event_days(a_segment text, a_run bigint)
RETURNS TABLE (event_date date, is_complete boolean) LANGUAGE sql STABLE AS $$
    WITH range AS MATERIALIZED (
        SELECT partition, begin_offset, end_offset, min(first_load) OVER () AS low,
               max(last_load) OVER () AS high
        FROM processed.segment_partitions WHERE segment = a_segment AND run = a_run
    ), place AS (
        SELECT o.event_date, sum(o.events) AS events,
               bool_and(coalesce(o.first_offset > r.begin_offset AND o.last_offset < r.end_offset
                                 AND o.first_load >= r.low AND o.last_load <= r.high, false))
                   AS all_inside,
               bool_or(coalesce(o.last_offset > r.begin_offset AND o.first_offset < r.end_offset
                                AND o.last_load >= r.low AND o.first_load <= r.high, false))
                   AS some_inside
        FROM mart.day_offsets o LEFT JOIN range r USING (partition)
        GROUP BY o.event_date
    ), known AS (
        SELECT p.event_date, p.all_inside, p.some_inside
        FROM place p
        JOIN (SELECT h.event_date, sum(h.events) AS events FROM mart.hour_totals h
              GROUP BY h.event_date) AS counted USING (event_date, events)
        WHERE p.event_date >= (SELECT raw_from FROM mart.state)
              AND p.event_date NOT IN (SELECT b.event_date FROM processed.load_batches b)
    )
    SELECT d.event_date, coalesce(k.all_inside, false)
    FROM mart.event_days d LEFT JOIN known k USING (event_date)
    WHERE k.some_inside IS NOT FALSE
$$;

CREATE OR REPLACE FUNCTION mart.report_complete_days(a_segment text, a_run bigint, days date[])
RETURNS void LANGUAGE sql AS $$
    INSERT INTO reporting.segment_days
    SELECT a_segment, a_run, event_date, sum(h.events), sum(h.views), sum(h.carts), sum(h.removes),
           sum(h.checkouts), sum(h.purchases), sum(h.revenue), d.sessions, d.orders, u.users
    FROM mart.hour_totals h JOIN mart.day_totals d USING (event_date)
    JOIN mart.active_users u ON u.grain = 'day' AND u.period_start = event_date
    WHERE event_date = ANY (days) GROUP BY event_date, d.sessions, d.orders, u.users
$$;

-- The part of a query that reads the events of a segment.
CREATE OR REPLACE FUNCTION mart.segment_source(a_segment text, a_run bigint) RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT format($sql$
        raw.events e JOIN unnest(%L::int[], %L::bigint[], %L::bigint[])
                              AS p(partition, begin_offset, end_offset)
             ON e.raw_partition = p.partition
                AND e.raw_offset BETWEEN p.begin_offset AND p.end_offset
                AND e.loaded_at BETWEEN %L AND %L
    $sql$, array_agg(partition), array_agg(begin_offset), array_agg(end_offset), min(first_load),
        max(last_load))
    FROM processed.segment_partitions WHERE segment = a_segment AND run = a_run
$$;

-- Reads the events that a segment has of one day. Returns the report of the day, and stores its
-- sessions for the report of the month. A session of two users is one session.
CREATE OR REPLACE FUNCTION mart.read_segment_day(source text, day date)
RETURNS reporting.segment_days LANGUAGE plpgsql AS $body$
DECLARE
    found reporting.segment_days;
BEGIN
    EXECUTE format($sql$
        WITH session AS MATERIALIZED (
            SELECT coalesce(user_session, 'user:' || user_id) COLLATE "C" AS session, user_id,
                   count(*) AS events, count(*) FILTER (WHERE event_type = 'view') AS views,
                   count(*) FILTER (WHERE event_type = 'cart') AS carts,
                   count(*) FILTER (WHERE event_type = 'remove_from_cart') AS removes,
                   count(*) FILTER (WHERE event_type = 'checkout') AS checkouts,
                   count(*) FILTER (WHERE event_type = 'purchase') AS purchases,
                   mart.total(CASE WHEN event_type = 'purchase' THEN price END) AS revenue
            FROM %2$s WHERE e.event_date = %1$L GROUP BY 1, 2
        ), stored AS (
            INSERT INTO mart.segment_sessions
            SELECT processed.session_id(session), user_id, purchases > 0 FROM session
        )
        SELECT '', 0, %1$L, sum(events), sum(views), sum(carts), sum(removes), sum(checkouts),
               sum(purchases), sum(revenue),
               (SELECT count(*) FROM (SELECT FROM session GROUP BY session) AS s),
               (SELECT count(*) FROM (SELECT FROM session WHERE purchases > 0
                                      GROUP BY session) AS s),
               (SELECT count(*) FROM (SELECT FROM session GROUP BY user_id) AS s)
        FROM session HAVING count(*) > 0
    $sql$, day, source) INTO found;
    RETURN found;
END
$body$;

-- Distinct counts of a month, over the sessions of its complete days and those that were read. If
-- the segment has all events of the month, the totals have these counts already.
CREATE OR REPLACE FUNCTION mart.segment_month_counts(
    month date, complete_days date[], some_read boolean,
    OUT sessions bigint, OUT orders bigint, OUT users bigint)
LANGUAGE plpgsql STABLE AS $body$
DECLARE
    last_day date := month + interval '1 month' - interval '1 day';
BEGIN
    IF NOT some_read AND cardinality(complete_days) = (
        SELECT count(*) FROM mart.day_totals WHERE event_date BETWEEN month AND last_day) THEN
        sessions := (SELECT sum(t.sessions) FROM mart.day_totals t
                     WHERE event_date BETWEEN month AND last_day)
                  - (SELECT count(*) - count(DISTINCT session_id) FROM mart.long_sessions
                     WHERE event_date BETWEEN month AND last_day);
        orders := mart.orders(month, last_day);
        users := (SELECT a.users FROM mart.active_users a
                  WHERE grain = 'month' AND period_start = month);
        RETURN;
    END IF;
    SELECT count(*), count(*) FILTER (WHERE bought) INTO sessions, orders
    FROM (SELECT session_id, bool_or(has_order) AS bought
          FROM (SELECT session_id, purchases > 0 AS has_order FROM mart.session_days
                WHERE event_date BETWEEN month AND last_day AND event_date = ANY (complete_days)
                UNION ALL
                SELECT session_id, has_order FROM mart.segment_sessions) AS own
          GROUP BY session_id) AS session;
    SELECT count(*) INTO users
    FROM (SELECT user_id FROM mart.session_days
          WHERE event_date BETWEEN month AND last_day AND event_date = ANY (complete_days)
          UNION
          SELECT user_id FROM mart.segment_sessions) AS own;
END
$body$;

-- The batch reports of one segment. Days that the segment has completely are in the cubes. The
-- events of other days are read one month at a time; then their locks are released (days.sql).
CREATE OR REPLACE FUNCTION mart.segment_reports(a_segment text, a_run bigint)
RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    source text := mart.segment_source(a_segment, a_run);
    one    record;
    day    date;
    found  reporting.segment_days[];
    counts record;
BEGIN
    FOR one IN
        SELECT date_trunc('month', event_date::timestamp)::date AS month,
               coalesce(array_agg(event_date) FILTER (WHERE is_complete), '{}') AS complete_days,
               coalesce(array_agg(event_date) FILTER (WHERE NOT is_complete), '{}') AS days
        FROM mart.segment_event_days(a_segment, a_run) GROUP BY 1 ORDER BY 1
    LOOP
        found := '{}';
        BEGIN
            FOREACH day IN ARRAY one.days LOOP
                found := found || mart.read_segment_day(source, day);
            END LOOP;
            IF one.days <> '{}' THEN
                ANALYZE mart.segment_sessions;
            END IF;
            counts := mart.segment_month_counts(one.month, one.complete_days, one.days <> '{}');
            PERFORM mart.release_locks();
        EXCEPTION WHEN SQLSTATE 'FNL01' THEN NULL;
        END;
        PERFORM mart.report_complete_days(a_segment, a_run, one.complete_days);
        INSERT INTO reporting.segment_days
        SELECT a_segment, a_run, r.day, events, views, carts, removes, checkouts, purchases,
               revenue, sessions, orders, users
        FROM unnest(found) AS r WHERE r.day IS NOT NULL;
        INSERT INTO reporting.segment_months
        SELECT a_segment, a_run, one.month, sum(events), sum(views), sum(carts), sum(removes),
               sum(checkouts), sum(purchases), sum(revenue), counts.sessions, counts.orders,
               counts.users
        FROM reporting.segment_days s
        WHERE s.segment = a_segment AND s.run = a_run
              AND date_trunc('month', s.day::timestamp) = one.month
        HAVING count(*) > 0;
        IF one.days <> '{}' THEN
            TRUNCATE mart.segment_sessions;
        END IF;
    END LOOP;
END
$body$;

CREATE OR REPLACE FUNCTION mart.complete_segment(a_segment text, a_run bigint) RETURNS void
    LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM mart.segment_reports(a_segment, a_run);
    WITH range AS (
        SELECT p.partition, p.begin_offset, p.end_offset, p.duplicates_other_price,
               p.end_offset - p.begin_offset - 1
               - (SELECT count(*) FROM processed.segment_controls c
                  WHERE c.partition = p.partition AND c.raw_offset > p.begin_offset
                        AND c.raw_offset < p.end_offset) AS rows_in
        FROM processed.segment_partitions p WHERE segment = a_segment AND run = a_run
    ), reason AS (
        SELECT d.reason, count(*) AS rejects
        FROM raw.dead_letters d JOIN range r ON d.source_partition = r.partition
             AND d.source_offset BETWEEN r.begin_offset AND r.end_offset
        WHERE d.stage = 'bronze-sink' AND d.source_topic IN (SELECT topic FROM processed.counts
                                                             WHERE service = 'bronze-sink')
        GROUP BY d.reason
    ), total AS (
        SELECT CASE WHEN bool_and(rows_in IS NOT NULL) THEN sum(rows_in) END AS rows_in,
               CASE WHEN bool_and(duplicates_other_price IS NOT NULL)
                    THEN sum(duplicates_other_price) END AS other_price,
               (SELECT coalesce(sum(events), 0) FROM reporting.segment_days
                WHERE segment = a_segment AND run = a_run) AS stored,
               (SELECT coalesce(sum(rejects), 0) FROM reason) AS rejects,
               (SELECT coalesce(jsonb_object_agg(reason, rejects), '{}') FROM reason) AS by_reason
        FROM range
    )
    UPDATE reporting.segments s
    SET complete = true, waiting_for = NULL, completed_at = now(), rows_in = c.rows_in,
        stored = c.stored, rejects = c.rejects,
        duplicates = c.rows_in - c.stored - c.rejects,
        duplicates_other_price = c.other_price, rejects_by_reason = c.by_reason
    FROM total c WHERE s.segment = a_segment AND s.run = a_run;
END
$body$;

CREATE OR REPLACE FUNCTION mart.refresh_segments() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT p.segment, p.run, max(p.partition_count) AS partitions,
               count(*) FILTER (WHERE p.ended) AS ended,
               coalesce(sum(p.rows_announced), 0) AS announced
        FROM processed.segment_partitions p LEFT JOIN reporting.segments s USING (segment, run)
        WHERE s.complete IS NOT TRUE GROUP BY p.segment, p.run ORDER BY min(p.first_load)
    LOOP
        INSERT INTO reporting.segments AS t
            (segment, run, complete, waiting_for, partitions, partitions_ended, rows_announced)
        VALUES (one.segment, one.run, false, mart.segment_waits_for(one.segment, one.run),
                one.partitions, one.ended, one.announced)
        ON CONFLICT (segment, run) DO UPDATE SET waiting_for = excluded.waiting_for,
            partitions_ended = excluded.partitions_ended, rows_announced = excluded.rows_announced;
        IF EXISTS (SELECT FROM reporting.segments
                   WHERE segment = one.segment AND run = one.run AND waiting_for IS NULL) THEN
            PERFORM mart.complete_segment(one.segment, one.run);
        END IF;
    END LOOP;
END
$body$;
