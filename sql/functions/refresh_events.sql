-- Refresh: chooses what to count, and counts hours.

-- Chooses rows of processed.load_batches with about max_events events. Returns the number of their
-- events.
CREATE OR REPLACE FUNCTION mart.take_batches(max_events bigint) RETURNS bigint
    LANGUAGE plpgsql AS $body$
BEGIN
    TRUNCATE mart.new_batches;
    INSERT INTO mart.new_batches
    SELECT place, loaded_at, event_date, events
    FROM (SELECT ctid AS place, loaded_at, event_date, events,
                 sum(events) OVER (ORDER BY loaded_at, event_date, ctid) - events AS before
          FROM processed.load_batches) AS waiting
    WHERE before < max_events;
    ANALYZE mart.new_batches;
    UPDATE mart.state
    SET newest_load = greatest(newest_load, (SELECT max(loaded_at) FROM mart.new_batches));
    PERFORM mart.add_dates(ARRAY(SELECT DISTINCT event_date FROM mart.new_batches));
    RETURN (SELECT coalesce(sum(events), 0) FROM mart.new_batches);
END
$body$;

-- Only a refresh or rebuild deletes these rows, and only one runs at a time. So their places stay
-- valid.
CREATE OR REPLACE VIEW mart.batch_sums AS
SELECT b.* FROM mart.new_batches n JOIN processed.load_batches b ON b.ctid = n.place;
COMMENT ON VIEW mart.batch_sums IS 'The rows of processed.load_batches that a refresh counts now.';

-- Adds up money. For many groups of few rows it is several times as fast as sum().
CREATE OR REPLACE AGGREGATE mart.total(numeric) (
    SFUNC = numeric_add, STYPE = numeric, INITCOND = '0.00', COMBINEFUNC = numeric_add,
    PARALLEL = SAFE);

CREATE OR REPLACE FUNCTION mart.drop_batches() RETURNS void LANGUAGE sql AS $$
    DELETE FROM processed.load_batches b USING mart.new_batches n WHERE b.ctid = n.place
$$;

CREATE OR REPLACE FUNCTION mart.count_hours() RETURNS void LANGUAGE sql AS $$
    INSERT INTO mart.hour_totals AS t
    SELECT event_date, hour, sum(views + carts + removes + checkouts + purchases), sum(views),
           sum(carts), sum(removes), sum(checkouts), sum(purchases), sum(revenue),
           sum(without_category), sum(without_brand), sum(without_price), sum(without_session),
           sum(zero_price), max(newest)
    FROM (SELECT event_date, unnest(hour) AS hour, unnest(hour_views) AS views,
                 unnest(hour_carts) AS carts, unnest(hour_removes) AS removes,
                 unnest(hour_checkouts) AS checkouts, unnest(hour_purchases) AS purchases,
                 unnest(hour_revenue) AS revenue,
                 unnest(hour_without_category) AS without_category,
                 unnest(hour_without_brand) AS without_brand,
                 unnest(hour_without_price) AS without_price,
                 unnest(hour_without_session) AS without_session,
                 unnest(hour_zero_price) AS zero_price, unnest(hour_newest) AS newest
          FROM mart.batch_sums) AS sums
    GROUP BY event_date, hour
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
