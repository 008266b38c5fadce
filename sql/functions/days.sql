-- Reads raw.events without locking all of its days at once.
--
-- raw.events is a view of raw.event_rows, which has a partition per day. A statement over a
-- partitioned table locks each partition that it plans to read, and the two indexes of the
-- partition: three locks per day, until the transaction ends. The server has room for some 20,000
-- locks, so a table of more than about 6,500 days cannot be read in one statement. So every report
-- and proof names its days as constants, or as parameters of EXECUTE. To read many days, it reads
-- them in pieces, each in a subtransaction that it rolls back: only a rollback releases locks
-- before the transaction ends. Variables of PL/pgSQL keep their values, so the results stay.
--
-- The view mart.event_days lists the days.

-- Raises the error that ends such a subtransaction. No other function raises it.
CREATE OR REPLACE FUNCTION mart.release_locks() RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION 'the locks of this subtransaction are released' USING ERRCODE = 'FNL01';
END
$body$;

-- The results are kept in memory: the query must return few rows per month.
CREATE OR REPLACE FUNCTION mart.each_month(query text) RETURNS SETOF jsonb
    LANGUAGE plpgsql AS $body$
DECLARE
    month date;
    found jsonb[];
BEGIN
    FOR month IN SELECT DISTINCT date_trunc('month', event_date::timestamp)::date
        FROM mart.event_days ORDER BY 1 LOOP
        BEGIN
            EXECUTE format('SELECT array_agg(to_jsonb(r)) FROM (%s) AS r', query) INTO found
            USING month, (month + interval '1 month' - interval '1 day')::date;
            PERFORM mart.release_locks();
        EXCEPTION WHEN SQLSTATE 'FNL01' THEN NULL;
        END;
        RETURN QUERY SELECT unnest(found);
    END LOOP;
END
$body$;
COMMENT ON FUNCTION mart.each_month(text) IS
    'Runs a query once for each month that raw.events has, and returns its rows. $1 and $2 in the '
    'query are the first and the last day of the month.';

CREATE OR REPLACE FUNCTION mart.count_events() RETURNS bigint LANGUAGE sql AS $$
    SELECT coalesce(sum((r->>'events')::bigint), 0)::bigint
    FROM mart.each_month('SELECT count(*) AS events FROM raw.events '
                         'WHERE event_date BETWEEN $1 AND $2') AS r
$$;
COMMENT ON FUNCTION mart.count_events() IS
    'Number of rows of raw.events, counted month by month.';

CREATE OR REPLACE FUNCTION mart.count_day(day date) RETURNS bigint
    LANGUAGE plpgsql AS $body$
DECLARE
    events bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM raw.events WHERE event_date = %L', day) INTO events;
    RETURN events;
END
$body$;
COMMENT ON FUNCTION mart.count_day(date) IS 'Number of rows of raw.events of one UTC day.';

-- The newest days come first, as they are the ones that retention keeps.
CREATE OR REPLACE FUNCTION mart.has_events() RETURNS boolean LANGUAGE plpgsql AS $body$
DECLARE
    day   date;
    found boolean;
BEGIN
    FOR day IN SELECT event_date FROM mart.event_days ORDER BY 1 DESC LOOP
        BEGIN
            EXECUTE format('SELECT EXISTS (SELECT FROM raw.events WHERE event_date = %L)', day)
            INTO found;
            PERFORM mart.release_locks();
        EXCEPTION WHEN SQLSTATE 'FNL01' THEN NULL;
        END;
        IF found THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$body$;
COMMENT ON FUNCTION mart.has_events() IS 'Whether raw.events has any row.';

-- The columns of mart.new_events.
CREATE OR REPLACE FUNCTION mart.events_query(day date) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
    SELECT format($sql$
        SELECT e.event_date, extract(hour FROM e.event_time AT TIME ZONE 'UTC')::smallint,
               e.event_time, e.event_id, e.event_type, e.product_id,
               coalesce(e.category_code, 'unknown'), coalesce(e.brand, 'unknown'), e.price,
               e.user_id, processed.session_id(coalesce(e.user_session, 'user:' || e.user_id)),
               e.category_code IS NULL, e.brand IS NULL, e.user_session IS NULL,
               e.raw_partition, e.raw_offset
        FROM raw.events e WHERE e.event_date = %L
    $sql$, day)
$$;
COMMENT ON FUNCTION mart.events_query(date) IS
    'The query that reads the events of a day as rows of mart.new_events.';

CREATE OR REPLACE FUNCTION mart.revenue_of_day(day date)
RETURNS TABLE (category text, category_level1 text, purchases bigint, orders bigint,
               revenue numeric, average_price numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    found jsonb[];
BEGIN
    BEGIN
        EXECUTE format($sql$
            SELECT array_agg(to_jsonb(r))
            FROM (SELECT coalesce(e.category_code, 'unknown') AS category,
                         split_part(coalesce(e.category_code, 'unknown'), '.', 1)
                             AS category_level1,
                         count(*) AS purchases,
                         count(DISTINCT coalesce(e.user_session, 'user:' || e.user_id)) AS orders,
                         sum(e.price) AS revenue, round(avg(e.price), 2) AS average_price
                  FROM raw.events e WHERE e.event_date = %L AND e.event_type = 'purchase'
                  GROUP BY coalesce(e.category_code, 'unknown')) AS r
        $sql$, day) INTO found;
        PERFORM mart.release_locks();
    EXCEPTION WHEN SQLSTATE 'FNL01' THEN NULL;
    END;
    RETURN QUERY
    SELECT r->>'category', r->>'category_level1', (r->>'purchases')::bigint,
           (r->>'orders')::bigint, (r->>'revenue')::numeric, (r->>'average_price')::numeric
    FROM unnest(found) AS r;
END
$body$;
COMMENT ON FUNCTION mart.revenue_of_day(date) IS
    'The rows of reporting.revenue_by_category of one UTC day.';
