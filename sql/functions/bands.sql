-- Bands of prices and of visit durations; mart.price_bands and mart.duration_bands name them.

CREATE OR REPLACE FUNCTION mart.duration_band(duration_ms bigint) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT width_bucket(duration_ms,
                       ARRAY[1, 60000, 300000, 900000, 1800000, 3600000]::bigint[])::smallint $$;

CREATE OR REPLACE FUNCTION mart.price_band(price numeric) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce(width_bucket(price, ARRAY[10, 25, 50, 100, 250, 500, 1000]::numeric[]),
                   -1)::smallint $$;

-- Where a visit ended, as mart.visit_days and reporting.drop_off name it. Purchases decide first: a
-- visit that bought did not leave. Records of an aggregator that did not write view_cart_purchase
-- have null. For them, the first cart and the first purchase after the first view nearly always
-- decide. Otherwise a third stage that was reached in order and a second purchase decide.
CREATE OR REPLACE FUNCTION mart.left_after(
    drop_off_stage text, furthest_stage smallint, views bigint, purchases bigint,
    view_to_cart_ms bigint, view_to_purchase_ms bigint, view_cart_purchase boolean)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN purchases = 0 THEN coalesce(drop_off_stage, 'completed')
               WHEN views = 0 THEN 'bought without view'
               WHEN view_to_purchase_ms IS NULL THEN 'bought before view'
               WHEN coalesce(view_cart_purchase,
                             view_to_cart_ms <= view_to_purchase_ms
                             OR furthest_stage >= 3 AND purchases > 1) THEN 'completed'
               ELSE 'bought without cart' END $$;
COMMENT ON FUNCTION mart.left_after(text, smallint, bigint, bigint, bigint, bigint, boolean) IS
    'The stage after which a visit ended without a purchase. Of a visit that bought: completed '
    '(with a cart between its first view and a purchase), bought without cart, bought before view '
    '(all purchases before its first view) or bought without view.';
