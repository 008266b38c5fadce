CREATE OR REPLACE FUNCTION mart.add_dates(days date[]) RETURNS void LANGUAGE sql
    SET search_path = pg_catalog, pg_temp SET lc_time = 'C' AS $$
    INSERT INTO mart.dim_dates
    SELECT d, extract(year FROM d), extract(quarter FROM d), extract(month FROM d),
           to_char(d, 'FMMonth'), extract(day FROM d),
           extract(week FROM d), date_trunc('week', d::timestamp)::date, extract(isodow FROM d),
           to_char(d, 'FMDay'), extract(isodow FROM d) >= 6
    FROM unnest(days) AS d
    ON CONFLICT DO NOTHING
$$;

DO $do$ BEGIN
    PERFORM mart.add_dates(ARRAY(
        SELECT d::date FROM generate_series(timestamp '2000-01-01', '2039-12-31', '1 day') AS d));
END $do$;
