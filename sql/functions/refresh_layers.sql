-- Refresh: the sums of each layer that reconciliation compares.

-- If retention has dropped a day and a reload stores its events again, they were counted before and
-- are not counted again: only offsets past the last one count.
CREATE OR REPLACE FUNCTION mart.count_partitions() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.partition_layers (partition)
    SELECT DISTINCT unnest(run_partition) FROM mart.batch_sums
    ON CONFLICT DO NOTHING;
    INSERT INTO mart.day_layers (event_date) SELECT DISTINCT event_date FROM mart.new_batches
    ON CONFLICT (event_date) DO UPDATE SET changed = true;
    WITH run AS (
        SELECT event_date, unnest(run_partition) AS partition, unnest(run_offset) AS first,
               unnest(run_events) AS events
        FROM mart.batch_sums
    ), span AS (
        SELECT partition, p.target_offset, run.first + run.events - 1 AS last,
               CASE WHEN event_date >= s.raw_from THEN run.first
                    ELSE greatest(run.first, p.last_offset + 1) END AS first
        FROM mart.state s, run JOIN mart.partition_layers p USING (partition)
    )
    UPDATE mart.partition_layers t
    SET events = t.events + n.events, reached_events = t.reached_events + n.reached_events,
        last_offset = greatest(t.last_offset, n.last_offset)
    FROM (SELECT partition, sum(last - first + 1) AS events, max(last) AS last_offset,
                 coalesce(sum(greatest(0, least(last, target_offset) - first + 1)), 0)
                     AS reached_events
          FROM span WHERE last >= first GROUP BY partition) AS n
    WHERE t.partition = n.partition;
$$;

-- Adds late events and rollups. count_partitions has marked the days of new events, and
-- count_visits those of changed visits.
CREATE OR REPLACE FUNCTION mart.count_layers() RETURNS void LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM processed.late_deltas RETURNING *)
    INSERT INTO mart.day_layers AS t
        (event_date, late_events, late_revenue, visit_late_events, visit_late_revenue)
    SELECT event_date, sum(rollup_events), sum(rollup_revenue), sum(visit_events),
           sum(visit_revenue)
    FROM gone GROUP BY 1
    ON CONFLICT (event_date) DO UPDATE
    SET changed = true,
        late_events = t.late_events + excluded.late_events,
        late_revenue = t.late_revenue + excluded.late_revenue,
        visit_late_events = t.visit_late_events + excluded.visit_late_events,
        visit_late_revenue = t.visit_late_revenue + excluded.visit_late_revenue;

    WITH rollup AS (
        SELECT (window_start AT TIME ZONE 'UTC')::date AS event_date,
               views + carts + removes + checkouts + purchases AS events, revenue
        FROM processed.funnel_aggregates WHERE rollup = '1d:all' AND group_value = 'all'
    )
    INSERT INTO mart.day_layers AS t (event_date, rollup_events, rollup_revenue)
    SELECT event_date, r.events, r.revenue
    FROM rollup r FULL JOIN mart.day_layers d USING (event_date)
    WHERE (r.events, r.revenue) IS DISTINCT FROM (d.rollup_events, d.rollup_revenue)
    ON CONFLICT (event_date) DO UPDATE
    SET changed = true,
        rollup_events = excluded.rollup_events, rollup_revenue = excluded.rollup_revenue;

    UPDATE mart.day_layers t
    SET events = e.events, revenue = e.revenue, visit_events = v.events, visit_revenue = v.revenue
    FROM mart.day_layers d,
         LATERAL (SELECT coalesce(sum(h.events), 0) AS events,
                         coalesce(sum(h.revenue), 0) AS revenue
                  FROM mart.hour_totals h WHERE h.event_date = d.event_date) AS e,
         LATERAL (SELECT coalesce(sum(w.events), 0) AS events,
                         coalesce(sum(w.revenue), 0) AS revenue
                  FROM mart.visit_days w WHERE w.visit_date = d.event_date) AS v
    WHERE d.changed AND t.event_date = d.event_date;
$$;
