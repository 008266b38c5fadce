-- For the batch reports of segments: where the events of a day are in the raw topic, and sessions
-- of several days. Each table has a function for the refresh, and one for the rebuild.

CREATE OR REPLACE FUNCTION mart.count_offsets() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.day_offsets AS t
    SELECT event_date, partition, sum(events), min(first), max(first + events - 1),
           min(loaded_at), max(loaded_at)
    FROM (SELECT loaded_at, event_date, unnest(run_partition) AS partition,
                 unnest(run_offset) AS first, unnest(run_events) AS events
          FROM mart.batch_sums) AS run
    GROUP BY event_date, partition
    ON CONFLICT (event_date, partition) DO UPDATE SET
        events = t.events + excluded.events,
        first_offset = least(t.first_offset, excluded.first_offset),
        last_offset = greatest(t.last_offset, excluded.last_offset),
        first_load = least(t.first_load, excluded.first_load),
        last_load = greatest(t.last_load, excluded.last_load)
$$;

-- A row that a recount contradicts is deleted. The batch reports then read the events of its day.
CREATE OR REPLACE FUNCTION mart.rebuild_offsets() RETURNS void LANGUAGE sql AS $$
    WITH recount AS (
        SELECT event_date, raw_partition AS partition, count(*) AS events,
               min(raw_offset) AS first_offset, max(raw_offset) AS last_offset
        FROM mart.new_events GROUP BY event_date, raw_partition
    )
    DELETE FROM mart.day_offsets o
    WHERE event_date >= (SELECT raw_from FROM mart.state)
          AND NOT EXISTS (SELECT FROM recount r
                          WHERE (r.event_date, r.partition, r.events, r.first_offset, r.last_offset)
                                = (o.event_date, o.partition, o.events, o.first_offset,
                                   o.last_offset))
$$;

CREATE OR REPLACE FUNCTION mart.merge_long_sessions() RETURNS void LANGUAGE sql AS $$
    WITH mixed AS MATERIALIZED (
        SELECT session_id, event_date FROM mart.new_sessions JOIN mart.mixed_sessions
               USING (session_id)
        UNION
        SELECT session_id, event_date FROM mart.prior_sessions
    )
    INSERT INTO mart.long_sessions
    SELECT session_id, event_date FROM mixed
    WHERE session_id IN (SELECT session_id FROM mixed GROUP BY session_id HAVING count(*) > 1)
    ON CONFLICT DO NOTHING
$$;

CREATE OR REPLACE FUNCTION mart.rebuild_long_sessions() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.long_sessions;
    INSERT INTO mart.long_sessions
    SELECT DISTINCT session_id, event_date FROM mart.session_days
    WHERE session_id IN (SELECT session_id FROM mart.session_days GROUP BY session_id
                         HAVING min(event_date) < max(event_date))
$$;
