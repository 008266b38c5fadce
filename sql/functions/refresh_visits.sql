-- Refresh: visits. Adds up processed.visit_deltas, and marks the days whose visits have changed.
CREATE OR REPLACE FUNCTION mart.count_visits() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    IF NOT EXISTS (SELECT FROM processed.visit_deltas) THEN
        RETURN;
    END IF;
    WITH gone AS (DELETE FROM processed.visit_deltas RETURNING *
    ), marked AS (
        INSERT INTO mart.day_layers (event_date) SELECT DISTINCT visit_date FROM gone
        ON CONFLICT (event_date) DO UPDATE SET changed = true
    ), hours AS (
        INSERT INTO mart.visit_hours AS t
        SELECT visit_date, hour, entry_category, furthest_stage, sum(visits), sum(open_visits)
        FROM gone WHERE hour IS NOT NULL GROUP BY 1, 2, 3, 4
        HAVING (sum(visits), sum(open_visits)) <> (0, 0)
        ON CONFLICT (visit_date, hour, entry_category, furthest_stage) DO UPDATE SET
            visits = t.visits + excluded.visits, open_visits = t.open_visits + excluded.open_visits
    )
    INSERT INTO mart.visit_days AS t
    SELECT visit_date, entry_category, furthest_stage, left_after, duration_band, sum(visits),
           sum(open_visits), sum(viewing_visits), sum(carting_visits),
           sum(buying_visits), sum(abandoned_visits), sum(events), sum(purchases), sum(revenue),
           sum(duration_ms)
    FROM gone GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (visit_date, entry_category, furthest_stage, left_after, duration_band)
        DO UPDATE SET
        visits = t.visits + excluded.visits, open_visits = t.open_visits + excluded.open_visits,
        viewing_visits = t.viewing_visits + excluded.viewing_visits,
        carting_visits = t.carting_visits + excluded.carting_visits,
        buying_visits = t.buying_visits + excluded.buying_visits,
        abandoned_visits = t.abandoned_visits + excluded.abandoned_visits,
        events = t.events + excluded.events,
        purchases = t.purchases + excluded.purchases, revenue = t.revenue + excluded.revenue,
        duration_ms = t.duration_ms + excluded.duration_ms;
    DELETE FROM mart.visit_days WHERE visits = 0;
    DELETE FROM mart.visit_hours
    WHERE visits = 0 AND visit_date IN (SELECT event_date FROM mart.day_layers WHERE changed);
    PERFORM mart.count_conversions(
        ARRAY(SELECT event_date FROM mart.day_layers WHERE changed));
END
$body$;
