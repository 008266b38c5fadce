-- Whether the lake has a day of raw.events, so that retention may drop it. Each bronze partition
-- goes into the lake in the order of offsets, without gaps. So the lake was given the events of a
-- day if its positions are at or after those up to which the loader had loaded when the day had
-- these events. It has them if its files have at least as many rows of this day: a lake that began
-- late, or that has expired the day, has fewer.
--
-- Limit: an event that bronze has twice (processed.bronze_loads.doubles) has two rows in the lake.
-- So for each of them another missing row of the same day is not noticed.

CREATE OR REPLACE FUNCTION mart.has_lake() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM lake.positions WHERE topic LIKE '%bronze\_events')
$$;
COMMENT ON FUNCTION mart.has_lake() IS 'Whether a lake of bronze is registered in this database.';

-- One statement, so that the values belong together.
CREATE OR REPLACE FUNCTION mart.note_kept_day(day date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    total constant bigint := (SELECT coalesce(sum(events), 0) FROM mart.hour_totals
                              WHERE event_date = day);
BEGIN
    IF EXISTS (SELECT FROM mart.kept_days WHERE event_date = day AND counted = total) THEN
        RETURN false;
    END IF;
    EXECUTE format(
        'INSERT INTO mart.kept_days (event_date, counted, stored, loaded, reason) '
        'SELECT $1, $2, (SELECT count(*) FROM raw.%I), '
        '       (SELECT coalesce(jsonb_object_agg(partition, loaded_up_to), ''{}'') '
        '        FROM processed.bronze_loads), '
        '       ''not compared yet'' '
        'ON CONFLICT (event_date) DO UPDATE SET counted = excluded.counted, '
        '    stored = excluded.stored, loaded = excluded.loaded',
        'events_' || to_char(day, 'YYYY_MM_DD')) USING day, total;
    RETURN true;
END
$body$;
COMMENT ON FUNCTION mart.note_kept_day(date) IS
    'Notes how many events the day has, and how far bronze was loaded. Returns false if the note '
    'was there, and no event has been counted since.';

CREATE OR REPLACE FUNCTION mart.lake_rows(day date) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(f.record_count - coalesce((
               SELECT sum(d.delete_count) FROM lake.ducklake_delete_file d
               WHERE d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL), 0)), 0)::bigint
    FROM lake.ducklake_data_file f JOIN lake.ducklake_table t USING (table_id)
    WHERE t.table_name = 'bronze' AND t.end_snapshot IS NULL AND f.end_snapshot IS NULL
          AND starts_with(f.path, 'event_date=' || to_char(day, 'YYYY-MM-DD') || '/')
$$;
COMMENT ON FUNCTION mart.lake_rows(date) IS 'Rows of bronze of this day in the lake.';

CREATE OR REPLACE FUNCTION mart.not_in_lake(day date) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(
        (SELECT format('the lake has partition %s up to offset %s: expected %s or more',
                       l.key, coalesce(p.next_offset, 0), l.value)
         FROM jsonb_each_text(k.loaded) l
         LEFT JOIN (SELECT partition, min(next_offset) AS next_offset FROM lake.positions
                    WHERE topic LIKE '%bronze\_events' GROUP BY partition) p
                ON p.partition = l.key::int
         WHERE coalesce(p.next_offset, 0) < l.value::bigint ORDER BY l.key::int LIMIT 1),
        (SELECT format('the lake has %s rows of this day: expected %s or more%s', found, k.stored,
                       (SELECT format('; lake expire has removed %s', e.rows)
                        FROM lake.expired_days e
                        WHERE e.table_name = 'bronze' AND e.day = k.event_date))
         FROM mart.lake_rows(k.event_date) AS found WHERE found < k.stored))
    FROM mart.kept_days k WHERE k.event_date = day
$$;
COMMENT ON FUNCTION mart.not_in_lake(date) IS
    'What the lake lacks of a day in mart.kept_days; null: nothing.';

CREATE OR REPLACE FUNCTION mart.stays_for_lake(day date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    missing constant text := mart.not_in_lake(day);
BEGIN
    UPDATE mart.kept_days SET reason = coalesce(missing, 'nothing'), checked_at = now()
    WHERE event_date = day;
    RETURN missing IS NOT NULL;
END
$body$;
COMMENT ON FUNCTION mart.stays_for_lake(date) IS
    'Whether a day in mart.kept_days has to stay in raw.events. Stores the reason.';
