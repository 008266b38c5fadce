-- Refresh: reads new events, and counts hours.

-- Moves noted batches of about max_events events into mart.new_events and deletes their notes.
-- Returns the number of events that were noted.
CREATE OR REPLACE FUNCTION mart.take_events(max_events bigint) RETURNS bigint
    LANGUAGE plpgsql AS $body$
DECLARE
    one   record;
    taken bigint := 0;
    found bigint := 0;
    rows  bigint;
BEGIN
    TRUNCATE mart.new_batches, mart.new_events;
    WITH first AS (
        SELECT ctid
        FROM (SELECT b.ctid,
                     sum(events) OVER (ORDER BY loaded_at, event_date, raw_partition, b.ctid)
                         - events AS before
                          FROM processed.load_batches b) AS running
        WHERE before < max_events
    ), gone AS (
        DELETE FROM processed.load_batches b USING first WHERE b.ctid = first.ctid RETURNING b.*
    )
    INSERT INTO mart.new_batches SELECT loaded_at, event_date, raw_partition, sum(events) FROM gone
    GROUP BY 1, 2, 3;
    ANALYZE mart.new_batches;
    FOR one IN SELECT event_date, min(loaded_at) AS low, max(loaded_at) AS high,
        sum(events) AS events FROM mart.new_batches GROUP BY 1 LOOP
        -- As constants, so that the planner reads one day's partition and one range of it.
        rows := mart.add_events(
            mart.events_query(
                format('= %1$L AND e.loaded_at BETWEEN %2$L AND %3$L', one.event_date, one.low,
                       one.high),
                'JOIN mart.new_batches b USING (event_date, raw_partition, loaded_at)'),
            one.events <= 10000);
        taken := taken + one.events;
        found := found + rows;
    END LOOP;
    ANALYZE mart.new_events;
    IF found > taken THEN
        RAISE EXCEPTION 'reporting.refresh: % events were noted as stored, % are there: run '
            'reporting.rebuild()', taken, found;
    ELSIF found < taken THEN
        UPDATE mart.state SET lost_events = lost_events + taken - found;
    END IF;
    UPDATE mart.state
    SET newest_load = greatest(newest_load, (SELECT max(loaded_at) FROM mart.new_batches));
    PERFORM mart.add_dates(ARRAY(SELECT DISTINCT event_date FROM mart.new_batches));
    RETURN taken;
END
$body$;

CREATE OR REPLACE FUNCTION mart.count_hours() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.hour_totals AS t
    SELECT event_date, hour, count(*), count(*) FILTER (WHERE event_type = 'view'),
           count(*) FILTER (WHERE event_type = 'cart'),
           count(*) FILTER (WHERE event_type = 'remove_from_cart'),
           count(*) FILTER (WHERE event_type = 'checkout'),
           count(*) FILTER (WHERE event_type = 'purchase'),
           coalesce(sum(price) FILTER (WHERE event_type = 'purchase'), 0),
           count(*) FILTER (WHERE without_category), count(*) FILTER (WHERE without_brand),
           count(*) FILTER (WHERE price IS NULL),
           count(*) FILTER (WHERE without_session), count(*) FILTER (WHERE price = 0),
           max(event_time)
    FROM mart.new_events GROUP BY event_date, hour
    ON CONFLICT (event_date, hour) DO UPDATE SET
        events = t.events + excluded.events, views = t.views + excluded.views,
        carts = t.carts + excluded.carts,
        removes = t.removes + excluded.removes, checkouts = t.checkouts + excluded.checkouts,
        purchases = t.purchases + excluded.purchases,
        revenue = t.revenue + excluded.revenue, without_category = t.without_category
            + excluded.without_category,
        without_brand = t.without_brand + excluded.without_brand,
        without_price = t.without_price + excluded.without_price,
        without_session = t.without_session + excluded.without_session,
        zero_price = t.zero_price + excluded.zero_price,
        newest_event = greatest(t.newest_event, excluded.newest_event)
$$;
