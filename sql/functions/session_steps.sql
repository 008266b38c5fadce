-- Steps of a session and day: cart, remove_from_cart, checkout and purchase events in order; and
-- the path, stage and abandoned cart that follow from them. Refresh and rebuild share these
-- functions.

CREATE OR REPLACE FUNCTION mart.step(
    event_time timestamptz, event_id uuid, event_type text, product_id bigint, price numeric)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT concat_ws('|', to_char(event_time AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS'), event_id,
                    event_type, product_id, coalesce(price::text, '')) $$;

-- The first 500 steps of the sorted union of two lists. The limit does not depend on the order of
-- merges: a step that is cut now would be cut later too.
CREATE OR REPLACE FUNCTION mart.merge_steps(a text[], b text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT array_agg(s ORDER BY s COLLATE "C")
    FROM (SELECT s FROM (SELECT unnest(a) UNION SELECT unnest(b)) AS u(s) ORDER BY s COLLATE "C"
          LIMIT 500) AS l $$;

CREATE OR REPLACE FUNCTION mart.session_outcome(
    steps text[], first_view timestamptz, last_view timestamptz,
    OUT path text, OUT stage smallint, OUT abandoned_items bigint, OUT abandoned_value numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    first_view_at text := to_char(first_view AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS');
    last_view_at  text := to_char(last_view AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS');
    first_cart_at text;
    shown         text[] := '{}';
    previous      text := '';
    one           text;
    part          text[];
BEGIN
    stage := (first_view IS NOT NULL)::int;
    FOREACH one IN ARRAY steps LOOP
        part := string_to_array(one, '|');
        IF part[3] <> previous THEN
            shown := shown || part[3];
            previous := part[3];
        END IF;
        IF part[3] = 'cart' AND part[1] >= first_view_at AND first_cart_at IS NULL THEN
            first_cart_at := part[1];
            stage := greatest(stage, 2);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM unnest(steps) AS s
               WHERE split_part(s, '|', 3) = 'purchase'
                     AND split_part(s, '|', 1) >= first_cart_at) THEN
        stage := 3;
    END IF;
    path := array_to_string(shown[:8], ' > ')
            || CASE WHEN cardinality(shown) > 8 THEN ' > ...' ELSE '' END;
    IF first_view_at < split_part(steps[1], '|', 1) THEN
        path := 'view > ' || path;
    END IF;
    IF last_view_at > split_part(steps[cardinality(steps)], '|', 1) THEN
        path := path || ' > view';
    END IF;
    SELECT count(*), coalesce(sum(nullif(split_part(last_step, '|', 5), '')::numeric), 0)
    INTO abandoned_items, abandoned_value
    FROM (SELECT max(s COLLATE "C") AS last_step FROM unnest(steps) AS s
          WHERE split_part(s, '|', 3) IN ('cart', 'remove_from_cart', 'purchase')
          GROUP BY split_part(s, '|', 4)) AS by_product
    WHERE split_part(last_step, '|', 3) = 'cart';
END
$body$;
