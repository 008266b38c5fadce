-- Bands of prices and of visit durations; mart.price_bands and mart.duration_bands name them.

CREATE OR REPLACE FUNCTION mart.duration_band(duration_ms bigint) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT width_bucket(duration_ms,
                       ARRAY[1, 60000, 300000, 900000, 1800000, 3600000]::bigint[])::smallint $$;

CREATE OR REPLACE FUNCTION mart.price_band(price numeric) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce(width_bucket(price, ARRAY[10, 25, 50, 100, 250, 500, 1000]::numeric[]),
                   -1)::smallint $$;
