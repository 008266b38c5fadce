-- Steps of a session and day: cart, remove_from_cart, checkout and purchase events in order; and
-- the path, stages, and abandoned cart and checkout that follow from them. Refresh and rebuild
-- share these functions.

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

-- This function runs no queries. Most sessions have few steps, so a query would cost more than its
-- work.
CREATE OR REPLACE FUNCTION mart.session_outcome(
    steps text[], first_view timestamptz, last_view timestamptz, stages text[],
    OUT path text, OUT stage smallint, OUT abandoned_items bigint, OUT abandoned_value numeric,
    OUT reached smallint, OUT checkout_items bigint, OUT checkout_value numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    first_view_at    text := to_char(first_view AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS');
    last_view_at     text := to_char(last_view AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS');
    first_cart_at    text;
    last_purchase_at text;
    shown            text[] := '{}';
    previous         text := '';
    in_cart          text[] := '{}'; -- products, null where they have left it, and their prices
    prices           text[] := '{}';
    checked_out      text[]; -- products since the last purchase and their prices; null: none ever
    checkout_prices  text[];
    one              text;
    part             text[];
    place            int;
BEGIN
    FOREACH one IN ARRAY steps LOOP
        part := string_to_array(one, '|');
        IF part[3] <> previous THEN
            shown := shown || part[3];
            previous := part[3];
        END IF;
        IF previous = 'checkout' THEN
            place := coalesce(array_position(checked_out, part[4]),
                              coalesce(cardinality(checked_out), 0) + 1);
            -- A purchase at the same time may be sorted before it.
            IF part[1] IS DISTINCT FROM last_purchase_at THEN
                checked_out[place] := part[4];
                checkout_prices[place] := part[5];
            ELSE
                checked_out := coalesce(checked_out, '{}');
            END IF;
            CONTINUE;
        END IF;
        place := coalesce(array_position(in_cart, part[4]), cardinality(in_cart) + 1);
        IF previous = 'cart' THEN
            IF first_cart_at IS NULL AND part[1] >= first_view_at THEN
                first_cart_at := part[1];
            END IF;
            in_cart[place] := part[4];
            prices[place] := part[5];
        ELSE
            IF previous = 'purchase' THEN
                last_purchase_at := part[1];
                IF checked_out <> '{}' THEN
                    checked_out := '{}';
                    checkout_prices := '{}';
                END IF;
            END IF;
            IF place <= cardinality(in_cart) THEN
                in_cart[place] := NULL;
            END IF;
        END IF;
    END LOOP;
    stage := CASE WHEN last_purchase_at >= first_cart_at THEN 3
                  WHEN first_cart_at IS NOT NULL THEN 2 ELSE (first_view IS NOT NULL)::int END;
    path := array_to_string(shown[:8], ' > ')
            || CASE WHEN cardinality(shown) > 8 THEN ' > ...' ELSE '' END;
    IF first_view_at < split_part(steps[1], '|', 1) THEN
        path := 'view > ' || path;
    END IF;
    IF last_view_at > part[1] THEN
        path := path || ' > view';
    END IF;
    IF stages <> '{view,cart,purchase}' THEN
        reached := mart.stages_reached(steps, first_view_at, last_view_at, stages);
    END IF;
    checkout_items := cardinality(checked_out);
    IF checkout_items IS NOT NULL THEN
        checkout_value := 0;
        FOR place IN 1 .. checkout_items LOOP
            checkout_value := checkout_value
                              + coalesce(nullif(checkout_prices[place], '')::numeric, 0);
        END LOOP;
    END IF;
    abandoned_items := 0;
    abandoned_value := 0;
    FOR place IN 1 .. cardinality(in_cart) LOOP
        IF in_cart[place] IS NOT NULL THEN
            abandoned_items := abandoned_items + 1;
            abandoned_value := abandoned_value + coalesce(nullif(prices[place], '')::numeric, 0);
        END IF;
    END LOOP;
END
$body$;
