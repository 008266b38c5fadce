CREATE OR REPLACE VIEW reporting.funnel_trend AS
SELECT d.funnel, d.event_date AS day, d.step, d.event, d.converted,
       round(d.converted::numeric / nullif(first_value(d.converted) OVER own, 0), 4) AS of_first,
       round(d.converted::numeric / nullif(lag(d.converted) OVER own, 0), 4) AS of_step_before,
       d.converted - coalesce(lead(d.converted) OVER own, d.converted) AS dropped, d.median_s,
       d.median_from_first_s, s.event_date IS NULL AS up_to_date
FROM mart.funnel_days d LEFT JOIN mart.stale_funnel_days s USING (funnel, event_date)
WINDOW own AS (PARTITION BY d.funnel, d.event_date ORDER BY d.step);
COMMENT ON VIEW reporting.funnel_trend IS
    'Each named funnel (reporting.funnels) of each UTC day: reporting.funnel() with this day as '
    'first and last day. A unit counts on each day on which it begins the funnel.';
COMMENT ON COLUMN reporting.funnel_trend.up_to_date IS
    'False: new events may change the row, and a refresh will soon count it again.';
