-- Refresh: the sums of each layer that reconciliation compares.

-- Runs after take_events. If retention has dropped a day and a reload stores its events again, they
-- were counted before and are not counted again.
CREATE OR REPLACE FUNCTION mart.count_partitions() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.partition_layers (partition) SELECT DISTINCT raw_partition
    FROM mart.new_batches
    ON CONFLICT DO NOTHING;
    INSERT INTO mart.day_layers (event_date) SELECT DISTINCT event_date FROM mart.new_batches
    ON CONFLICT (event_date) DO UPDATE SET changed = true;
    UPDATE mart.partition_layers t
    SET events = t.events + n.events, reached_events = t.reached_events + n.reached_events,
        last_offset = greatest(t.last_offset, n.last_offset)
    FROM (SELECT e.raw_partition, count(*) AS events, max(e.raw_offset) AS last_offset,
                 count(*) FILTER (WHERE e.raw_offset <= p.target_offset) AS reached_events
          FROM mart.new_events e JOIN mart.partition_layers p ON p.partition = e.raw_partition
          WHERE e.event_date >= (SELECT raw_from FROM mart.state) OR e.raw_offset > p.last_offset
          GROUP BY 1) AS n
    WHERE t.partition = n.raw_partition;
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
