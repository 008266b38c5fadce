-- The stages of the funnels: one place for all reports.

CREATE OR REPLACE VIEW reporting.stages AS
SELECT s.step::smallint AS step, s.stage, s.step = cardinality(stages) AS is_last
FROM (SELECT coalesce(stages, '{view,cart,purchase}') AS stages FROM mart.state) AS known,
     unnest(stages) WITH ORDINALITY AS s(stage, step);
COMMENT ON VIEW reporting.stages IS
    'The ordered stages of the funnels, as funnel-aggregator counts them (STAGES). All reports '
    'follow them.';

-- The rates from one stage to a later one that the stages have. A rate from view needs view as the
-- first stage. From another type, it needs a stage before.
CREATE OR REPLACE VIEW mart.stage_rates AS
SELECT view = 1 AND cart > 1              AS view_to_cart,
       view = 1 AND checkout > 1          AS view_to_checkout,
       view = 1 AND purchase > 1          AS view_to_purchase,
       cart > 1 AND checkout > cart       AS cart_to_checkout,
       cart > 1 AND purchase > cart       AS cart_to_purchase,
       checkout > 1 AND purchase > checkout AS checkout_to_purchase
FROM (SELECT max(step) FILTER (WHERE stage = 'view') AS view,
             max(step) FILTER (WHERE stage = 'cart') AS cart,
             max(step) FILTER (WHERE stage = 'checkout') AS checkout,
             max(step) FILTER (WHERE stage = 'purchase') AS purchase
      FROM reporting.stages) AS place;
