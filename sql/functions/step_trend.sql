-- Visits that began in each hour or day, by the stages that they reached in order.

CREATE OR REPLACE FUNCTION reporting.step_trend(
    from_day date, to_day date, grain text DEFAULT 'day', category text DEFAULT NULL)
RETURNS TABLE (starts timestamptz, step smallint, stage text, visits bigint, of_first numeric,
               of_step_before numeric, complete boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF grain IS NULL OR grain NOT IN ('hour', 'day') THEN
        PERFORM mart.refuse_funnel(grain, 'grain', 'hour or day');
    END IF;
    RETURN QUERY
    WITH reached AS (
        SELECT h.visit_date, CASE WHEN grain = 'hour' THEN h.hour ELSE 0 END AS hour,
               h.furthest_stage AS level, sum(h.visits) AS visits, sum(h.open_visits) AS open
        FROM mart.visit_hours h
        WHERE h.visit_date BETWEEN from_day AND to_day
              AND (category IS NULL OR h.entry_category = split_part(category, '.', 1))
        GROUP BY 1, 2, 3
    ), line AS (
        SELECT r.visit_date, r.hour, s.step, s.stage,
               coalesce(sum(r.visits) FILTER (WHERE r.level >= s.step), 0) AS visits,
               sum(r.open) AS open
        FROM reached r CROSS JOIN reporting.stages s GROUP BY 1, 2, 3, 4
    )
    SELECT t.starts, l.step, l.stage, l.visits::bigint,
           round(l.visits / nullif(first_value(l.visits) OVER own, 0), 4),
           round(l.visits / nullif(coalesce(lag(l.visits) OVER own, l.visits), 0), 4),
           l.open = 0 AND t.starts + CASE grain WHEN 'hour' THEN interval '1 hour'
                                            ELSE interval '24 hours' END <= mart.counted_to()
    FROM line l, LATERAL (SELECT mart.hour_of(l.visit_date, l.hour::int) AS starts) AS t
    WINDOW own AS (PARTITION BY l.visit_date, l.hour ORDER BY l.step)
    ORDER BY t.starts, l.step;
END
$body$;
COMMENT ON FUNCTION reporting.step_trend(date, date, text, text) IS
    'Step conversion of each UTC hour or day (grain): visits that began then and reached the stage '
    '(reporting.stages) in order, their share of the visits that reached the first stage, and of '
    'those that reached the stage before. category: only visits that began with this first level. '
    'complete: the hour or day has passed and all its visits have ended; before, numbers still '
    'grow. Hours without a visit have no row.';
