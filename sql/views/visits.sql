-- Visits per day, without the events that were too late for their visit.

CREATE OR REPLACE VIEW reporting.visit_days AS
SELECT visit_date AS day, entry_category, furthest_stage, left_after, d.label AS duration,
       duration_band, visits, open_visits, viewing_visits, carting_visits,
       buying_visits, abandoned_visits, events, purchases, revenue, duration_ms
FROM mart.visit_days JOIN mart.duration_bands d ON d.band = duration_band;
COMMENT ON VIEW reporting.visit_days IS
    'Visits that began on each UTC day, by first level of the category they began with, furthest '
    'stage, last stage reached and duration. Adds up.';
COMMENT ON COLUMN reporting.visit_days.abandoned_visits IS
    'Visits with a cart event and no purchase.';
COMMENT ON COLUMN reporting.visit_days.left_after IS
    'The stage after which the visitor left without a purchase; completed where the last was '
    'reached. Of a visit that bought: completed (with a cart between its first view and a '
    'purchase), bought without cart (at or after its first view), bought before view (only before '
    'it) or bought without view.';

CREATE OR REPLACE VIEW reporting.visit_stages AS
SELECT visit_date AS day, entry_category, furthest_stage, left_after,
       sum(visits)::bigint AS visits, sum(viewing_visits)::bigint AS viewing_visits,
       sum(buying_visits)::bigint AS buying_visits
FROM (SELECT visit_date, entry_category, furthest_stage, left_after, visits, viewing_visits,
             buying_visits
      FROM mart.visit_days
      UNION ALL
      SELECT visit_date, entry_category, furthest_stage, left_after, visits, viewing_visits,
             buying_visits
      FROM processed.visit_deltas) AS v
GROUP BY 1, 2, 3, 4 HAVING sum(visits) <> 0;
COMMENT ON VIEW reporting.visit_stages IS
    'Visits that began on each day, by first level of the category they began with, furthest stage '
    'and what became of them. As fresh as the visits: it includes those that no refresh has '
    'counted yet.';
