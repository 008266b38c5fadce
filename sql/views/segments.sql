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
       min(loaded_at) AS first_load, min(loaded_at) FILTER (WHERE kind = 'end') AS last_load
FROM numbered GROUP BY segment, run, partition;
COMMENT ON VIEW processed.segment_partitions IS
    'Each run of a segment in each partition: where it begins and ends in the raw topic, and what '
    'the producer announced.';
