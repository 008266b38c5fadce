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

-- The batch reports of one segment. One pass over its events finds the sums of each session, day
-- and user; days and months are sums of these. The order of sessions is that of their bytes, which
-- sorts several times as fast as that of a language.
CREATE OR REPLACE FUNCTION mart.segment_reports(a_segment text, a_run bigint)
RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    low  timestamptz;
    high timestamptz;
    one  jsonb;
BEGIN
    SELECT min(first_load), max(last_load) INTO low, high FROM processed.segment_partitions
    WHERE segment = a_segment AND run = a_run;
    FOR one IN SELECT r FROM mart.each_month(format($sql$
        WITH session AS MATERIALIZED (
            SELECT event_date, coalesce(user_session, 'user:' || user_id) COLLATE "C" AS session,
                   user_id, count(*) AS events,
                   count(*) FILTER (WHERE event_type = 'view') AS views,
                   count(*) FILTER (WHERE event_type = 'cart') AS carts,
                   count(*) FILTER (WHERE event_type = 'remove_from_cart') AS removes,
                   count(*) FILTER (WHERE event_type = 'checkout') AS checkouts,
                   count(*) FILTER (WHERE event_type = 'purchase') AS purchases,
                   mart.total(CASE WHEN event_type = 'purchase' THEN price END) AS revenue
            FROM raw.events e JOIN processed.segment_partitions p
                 ON p.segment = %1$L AND p.run = %2$L AND e.raw_partition = p.partition
                     AND e.raw_offset BETWEEN p.begin_offset AND p.end_offset
            WHERE e.event_date BETWEEN $1 AND $2 AND e.loaded_at BETWEEN %3$L AND %4$L
            GROUP BY 1, 2, 3
        )
        SELECT %1$L AS segment, %2$L::bigint AS run, event_date AS day, $1 AS month,
               sum(events) AS events, sum(views) AS views, sum(carts) AS carts,
               sum(removes) AS removes, sum(checkouts) AS checkouts, sum(purchases) AS purchases,
               sum(revenue) AS revenue, count(DISTINCT session) AS sessions,
               count(DISTINCT session) FILTER (WHERE purchases > 0) AS orders,
               count(DISTINCT user_id) AS users
        FROM session GROUP BY GROUPING SETS ((event_date), ()) HAVING sum(events) > 0
    $sql$, a_segment, a_run, low, high)) AS r
    LOOP
        IF one->>'day' IS NULL THEN
            INSERT INTO reporting.segment_months
            SELECT * FROM jsonb_populate_record(NULL::reporting.segment_months, one);
        ELSE
            INSERT INTO reporting.segment_days
            SELECT * FROM jsonb_populate_record(NULL::reporting.segment_days, one);
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
