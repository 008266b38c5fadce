-- The stages of the funnels: one place for all reports.

CREATE OR REPLACE VIEW reporting.stages AS
SELECT s.step::smallint AS step, s.stage, s.step = cardinality(stages) AS is_last
FROM (SELECT coalesce(stages, '{view,cart,purchase}') AS stages FROM mart.state) AS known,
     unnest(stages) WITH ORDINALITY AS s(stage, step);
COMMENT ON VIEW reporting.stages IS
    'The ordered stages of the funnels, as funnel-aggregator counts them (STAGES). All reports '
    'follow them.';

-- The place of each type in the list; null: not a stage.
CREATE OR REPLACE VIEW mart.stage_positions AS
SELECT max(step) FILTER (WHERE stage = 'view') AS view,
       max(step) FILTER (WHERE stage = 'cart') AS cart,
       max(step) FILTER (WHERE stage = 'checkout') AS checkout,
       max(step) FILTER (WHERE stage = 'purchase') AS purchase
FROM reporting.stages;
