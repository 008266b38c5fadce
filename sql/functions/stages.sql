-- The stages of the funnels, as funnel-aggregator counts them (STAGES).

-- The rule for STAGES: two to five different types. A record of counts may come from a foreign
-- writer.
CREATE OR REPLACE FUNCTION processed.are_stages(names text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) BETWEEN 2 AND 5 AND count(*) = count(DISTINCT name)
           AND bool_and(name IN ('view', 'cart', 'remove_from_cart', 'checkout', 'purchase'))
    FROM unnest(names) AS name
$$;

CREATE OR REPLACE FUNCTION processed.stages() RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(
        (SELECT string_to_array(c.stages, ',') FROM processed.counts c
         WHERE processed.are_stages(string_to_array(c.stages, ','))
         ORDER BY c.updated_at DESC, c.partition LIMIT 1),
        '{view,cart,purchase}')
$$;
COMMENT ON FUNCTION processed.stages() IS
    'The stages that the newest counts name; view, cart and purchase if none does.';

-- A rate of the views. Null if the stages do not have it, or if nothing reached the first one.
CREATE OR REPLACE FUNCTION mart.stage_rate(has_rate boolean, later bigint, earlier bigint)
RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN has_rate THEN round(later::numeric / nullif(earlier, 0), 4) END
$$;

-- How many of the stages a session and day has reached, each at or after the one before. Steps have
-- no views. So after a view in the middle of the list, later stages are not counted.
CREATE OR REPLACE FUNCTION mart.stages_reached(
    steps text[], first_view_at text, last_view_at text, stages text[])
RETURNS smallint LANGUAGE plpgsql IMMUTABLE AS $body$
DECLARE
    reached_at text := '';
    next_at    text;
    reached    smallint := 0;
    stage      text;
    one        text;
BEGIN
    FOREACH stage IN ARRAY stages LOOP
        next_at := NULL;
        IF stage = 'view' THEN
            next_at := CASE WHEN reached = 0 THEN first_view_at
                            WHEN last_view_at >= reached_at THEN last_view_at END;
        ELSE
            FOREACH one IN ARRAY steps LOOP
                IF split_part(one, '|', 3) = stage AND left(one, 20) >= reached_at THEN
                    next_at := left(one, 20);
                    EXIT;
                END IF;
            END LOOP;
        END IF;
        EXIT WHEN next_at IS NULL;
        reached := reached + 1;
        EXIT WHEN stage = 'view' AND reached > 1;
        reached_at := next_at;
    END LOOP;
    RETURN reached;
END
$body$;

-- The stages that mart.stage_days has: view as the first stage needs no steps.
CREATE OR REPLACE FUNCTION mart.stage_places(stages text[]) RETURNS SETOF smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT n::smallint
    FROM generate_series(CASE WHEN stages[1] = 'view' THEN 2 ELSE 1 END, cardinality(stages)) AS n
$$;

CREATE OR REPLACE FUNCTION mart.rebuild_stage_days() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.stage_days;
    INSERT INTO mart.stage_days
    SELECT event_date, place, count(*), count(*) FILTER (WHERE purchases > 0)
    FROM mart.session_states, mart.stage_places((SELECT stages FROM mart.state)) AS place
    WHERE reached >= place GROUP BY event_date, place;
$$;

-- Refresh: if the stages have changed, counts stored sessions again. Their steps are stored, so it
-- reads no events. Visits and rollups stay as the stream counted them.
CREATE OR REPLACE FUNCTION mart.follow_stages() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    now_stages text[] := processed.stages();
BEGIN
    IF (SELECT stages FROM mart.state) = now_stages THEN
        RETURN;
    END IF;
    UPDATE mart.state SET stages = now_stages;
    UPDATE mart.session_steps t
    SET reached = r.reached, checkout_items = r.checkout_items, checkout_value = r.checkout_value
    FROM (SELECT session_id, event_date, min(first_view) AS first_view, max(last_view) AS last_view
          FROM mart.session_days GROUP BY session_id, event_date
          HAVING sum(carts + removes + checkouts + purchases) > 0) AS d
    JOIN mart.session_steps s USING (session_id, event_date),
         LATERAL mart.session_outcome(s.steps, d.first_view, d.last_view, now_stages) AS r
    WHERE t.session_id = s.session_id AND t.event_date = s.event_date
          AND (t.reached, t.checkout_items, t.checkout_value)
              IS DISTINCT FROM (r.reached, r.checkout_items, r.checkout_value);
    PERFORM mart.rebuild_stage_days();
    PERFORM mart.rebuild_user_levels();
    UPDATE mart.day_totals t
    SET checkout_sessions = n.sessions, abandoned_checkouts = n.abandoned, checkout_items = n.items,
        checkout_value = n.value
    FROM (SELECT event_date, count(*) AS sessions,
                 count(*) FILTER (WHERE checkout_items > 0) AS abandoned,
                 sum(checkout_items) AS items, sum(checkout_value) AS value
          FROM mart.session_steps WHERE checkout_items IS NOT NULL GROUP BY event_date) AS n
    WHERE t.event_date = n.event_date;
END
$body$;
