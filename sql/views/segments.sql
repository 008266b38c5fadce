-- A begin after an end starts a new run over the same input. An end that is repeated without a
-- begin in between is the same end.
CREATE OR REPLACE VIEW processed.segment_partitions AS
WITH marked AS (
    SELECT *, kind = 'begin' AND coalesce(lag(kind) OVER own, 'end') = 'end' AS starts
    FROM processed.segment_controls WHERE kind IN ('begin', 'end')
    WINDOW own AS (PARTITION BY segment, partition ORDER BY bronze_offset)
), numbered AS (
    SELECT *,
           greatest(1, count(*) FILTER (WHERE starts)
                       OVER (PARTITION BY segment, partition ORDER BY bronze_offset)) AS run
    FROM marked
)
SELECT segment, run, partition, min(partition_count) AS partition_count,
       min(raw_offset) FILTER (WHERE kind = 'begin') AS begin_offset,
       min(raw_offset) FILTER (WHERE kind = 'end') AS end_offset,
       min(rows_announced) FILTER (WHERE kind = 'end') AS rows_announced,
       bool_or(kind = 'end') AS ended,
       min(loaded_at) AS first_load, min(loaded_at) FILTER (WHERE kind = 'end') AS last_load,
       min(duplicates_other_price) FILTER (WHERE kind = 'end')
           - min(duplicates_other_price) FILTER (WHERE kind = 'begin') AS duplicates_other_price
FROM numbered GROUP BY segment, run, partition;
COMMENT ON VIEW processed.segment_partitions IS
    'Each run of a segment in each partition: where it begins and ends in the raw topic, and what '
    'the producer announced.';

CREATE OR REPLACE VIEW reporting.ingestion AS
SELECT s.segment, s.run, s.complete, coalesce(s.rows_in, s.rows_announced) AS rows,
       s.stored AS events, s.duplicates, s.duplicates_other_price, s.rejects, s.rejects_by_reason,
       round(s.rejects::numeric / nullif(s.rows_in, 0), 4) AS reject_share, l.late, s.waiting_for,
       s.completed_at
FROM reporting.segments s
CROSS JOIN LATERAL (
    SELECT count(*) AS late
    FROM processed.segment_partitions p JOIN raw.late_events e
         ON e.raw_partition = p.partition AND e.raw_offset > p.begin_offset
            AND (e.raw_offset < p.end_offset OR p.end_offset IS NULL)
    WHERE p.segment = s.segment AND p.run = s.run) AS l;
COMMENT ON VIEW reporting.ingestion IS
    'The results of the rows of each run of a segment: rows = events + duplicates + rejects.';
COMMENT ON COLUMN reporting.ingestion.rows IS
    'Rows that arrived; before the run is complete: rows that the producer says it sent.';
COMMENT ON COLUMN reporting.ingestion.events IS
    'Rows stored in raw.events. Null, like the columns after it, until the run is complete.';
COMMENT ON COLUMN reporting.ingestion.duplicates_other_price IS
    'Of duplicates: rows whose price differs from that of the first copy, which is the one stored.';
COMMENT ON COLUMN reporting.ingestion.rejects IS 'Rows in raw.dead_letters.';
COMMENT ON COLUMN reporting.ingestion.reject_share IS 'Share of rejects in rows.';
COMMENT ON COLUMN reporting.ingestion.late IS
    'Of events: those that were too late for a rollup or their visit (raw.late_events), as far as '
    'they are loaded.';
COMMENT ON COLUMN reporting.ingestion.waiting_for IS
    'What is still missing; null when complete.';
