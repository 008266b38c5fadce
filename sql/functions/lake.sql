-- The catalogue of the lake (tables/0020_lake.sql). A writer's transaction, always in this order:
--
--   SELECT lake.lock();                          one writer at a time
--   lock and compare its rows of lake.positions, in the order of topic and partition
--   SELECT * FROM lake.begin_snapshot(...);      if there are files
--   SELECT lake.add_file(...), lake.end_file(...);
--   store the new positions and the batches
--
-- DuckDB's own commits do not take the lock. If one comes between, the primary key of
-- ducklake_snapshot refuses ours (SQLSTATE 23505), and the writer repeats its transaction.

CREATE OR REPLACE FUNCTION lake.lock() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $body$
    SELECT pg_advisory_xact_lock(hashtextextended('funnel lake', 0));
$body$;
COMMENT ON FUNCTION lake.lock() IS
    'Waits until this transaction alone may write the catalogue. Call it first.';

-- The times of snapshots do not go back, even if the clock does.
CREATE OR REPLACE FUNCTION lake.begin_snapshot(files bigint, changes text, info jsonb,
                                               OUT snapshot bigint, OUT first_file bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO lake.ducklake_snapshot AS s
    SELECT snapshot_id + 1, greatest(clock_timestamp(), snapshot_time), schema_version,
           next_catalog_id, next_file_id + files
    FROM lake.ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1
    RETURNING s.snapshot_id, s.next_file_id - files INTO STRICT snapshot, first_file;
    INSERT INTO lake.ducklake_snapshot_changes (snapshot_id, changes_made, author,
                                                commit_extra_info)
    VALUES (snapshot, changes, 'lake', info::text);
END
$body$;
COMMENT ON FUNCTION lake.begin_snapshot(bigint, text, jsonb) IS
    'Adds a snapshot. Returns its number and the number of the first of its new files. changes is '
    'in the words of DuckLake, such as inserted_into_table:1; info is its commit information.';

CREATE OR REPLACE FUNCTION lake.table_id(table_name text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    found bigint := (SELECT t.table_id FROM lake.ducklake_table t
                     WHERE t.table_name = table_id.table_name AND t.end_snapshot IS NULL);
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'lake: there is no table "%"', table_name
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN found;
END
$body$;

-- DuckLake keeps the path of a file relative to the folder of its table.
CREATE OR REPLACE FUNCTION lake.path_in_table(table_name text, path text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF path IS NULL OR NOT starts_with(path, table_name || '/') THEN
        RAISE EXCEPTION 'lake: invalid path "%": expected one that begins with %/', path, table_name
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN substr(path, length(table_name) + 2);
END
$body$;

CREATE OR REPLACE FUNCTION lake.is_less(column_type text, a text, b text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $body$
    SELECT CASE WHEN column_type ~ '^(u?int|decimal)' THEN a::numeric < b::numeric
                WHEN column_type = 'timestamptz' THEN a::timestamptz < b::timestamptz
                ELSE a COLLATE "C" < b COLLATE "C" END;
$body$;
COMMENT ON FUNCTION lake.is_less(text, text, text) IS
    'Compares two statistics of a column as DuckDB does: numbers and times by value, all else by '
    'bytes.';

-- Columns without statistics, and values too long for them, have no bounds: then their table has
-- none either, and DuckDB leaves out no file by them.
CREATE OR REPLACE FUNCTION lake.add_file(snapshot bigint, file_id bigint, table_name text,
                                         path text, rows bigint, bytes bigint,
                                         footer_bytes bigint, statistics jsonb)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    id      constant bigint := lake.table_id(table_name);
    unknown text;
BEGIN
    INSERT INTO lake.ducklake_table_stats (table_id, record_count, next_row_id, file_size_bytes)
    VALUES (id, 0, 0, 0) ON CONFLICT DO NOTHING;
    INSERT INTO lake.ducklake_data_file (data_file_id, table_id, begin_snapshot, path,
        path_is_relative, file_format, record_count, file_size_bytes, footer_size, row_id_start)
    SELECT file_id, id, snapshot, lake.path_in_table(table_name, add_file.path), true, 'parquet',
           rows, bytes, footer_bytes, next_row_id
    FROM lake.ducklake_table_stats WHERE table_id = id;
    UPDATE lake.ducklake_table_stats
    SET record_count = record_count + rows, next_row_id = next_row_id + rows,
        file_size_bytes = file_size_bytes + bytes
    WHERE table_id = id;

    WITH RECURSIVE columns AS (
        SELECT column_id, column_type, column_name::text AS name FROM lake.ducklake_column
        WHERE table_id = id AND end_snapshot IS NULL AND parent_column IS NULL
        UNION ALL
        SELECT c.column_id, c.column_type, p.name || '.' || c.column_name
        FROM columns p JOIN lake.ducklake_column c ON c.parent_column = p.column_id
        WHERE c.table_id = id AND c.end_snapshot IS NULL
    ), given AS (
        SELECT replace(key, '"', '') AS name, value AS of FROM jsonb_each(statistics)
    ), added AS (
        INSERT INTO lake.ducklake_file_column_stats (data_file_id, table_id, column_id,
            column_size_bytes, value_count, null_count, min_value, max_value)
        SELECT file_id, id, column_id, (of ->> 'bytes')::bigint,
               coalesce((of ->> 'num_values')::bigint, rows)
                   - coalesce((of ->> 'null_count')::bigint, 0),
               (of ->> 'null_count')::bigint, of ->> 'min', of ->> 'max'
        FROM columns LEFT JOIN given USING (name)
        WHERE column_type NOT IN ('list', 'struct')
    )
    SELECT name INTO unknown FROM given
    WHERE name NOT IN (SELECT name FROM columns WHERE column_type NOT IN ('list', 'struct'));
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'lake: statistics of "%", which is not a column of %', unknown, table_name
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM lake.widen(id, file_id);
END
$body$;
COMMENT ON FUNCTION lake.add_file(bigint, bigint, text, text, bigint, bigint, bigint, jsonb) IS
    'Registers a file with its statistics, and widens those of its table. path is relative to the '
    'lake. statistics: {"event_time": {"min": "...", "max": "...", "null_count": 0, "bytes": 1}}, '
    'in the texts of COPY ... RETURN_STATS; nested columns as "headers.element.name", with '
    'num_values.';

CREATE OR REPLACE FUNCTION lake.widen(id bigint, file_id bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $body$
    INSERT INTO lake.ducklake_table_column_stats (table_id, column_id, contains_null)
    SELECT table_id, column_id, false FROM lake.ducklake_file_column_stats
    WHERE data_file_id = file_id ORDER BY column_id ON CONFLICT DO NOTHING;

    WITH change AS (
        SELECT f.*, t.min_value AS old_min, t.max_value AS old_max, c.column_type AS type,
               -- no bound, although there are values: the bound is not known
               (t.min_value IS NULL OR t.max_value IS NULL) AND EXISTS (
                   SELECT FROM lake.ducklake_file_column_stats o
                   WHERE o.table_id = id AND o.column_id = f.column_id AND o.value_count > 0
                         AND o.data_file_id <> file_id) AS had_values
        FROM lake.ducklake_file_column_stats f
        JOIN lake.ducklake_table_column_stats t USING (table_id, column_id)
        JOIN lake.ducklake_column c USING (table_id, column_id)
        WHERE f.data_file_id = file_id AND c.end_snapshot IS NULL
    )
    UPDATE lake.ducklake_table_column_stats t
    SET contains_null = t.contains_null OR null_count IS NULL OR null_count > 0,
        min_value = CASE
            WHEN value_count = 0 THEN old_min
            WHEN change.min_value IS NULL OR (old_min IS NULL AND had_values) THEN NULL
            WHEN old_min IS NULL OR lake.is_less(type, change.min_value, old_min)
                THEN change.min_value
            ELSE old_min END,
        max_value = CASE
            WHEN value_count = 0 THEN old_max
            WHEN change.max_value IS NULL OR (old_max IS NULL AND had_values) THEN NULL
            WHEN old_max IS NULL OR lake.is_less(type, old_max, change.max_value)
                THEN change.max_value
            ELSE old_max END
    FROM change WHERE t.table_id = id AND t.column_id = change.column_id;
$body$;

-- The statistics of the table stay as wide as they were until lake.forget_files(): older snapshots
-- still read the file, and DuckDB has one set of statistics for all of them.
CREATE OR REPLACE FUNCTION lake.end_file(snapshot bigint, table_name text, path text)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    id   constant bigint := lake.table_id(table_name);
    file lake.ducklake_data_file;
BEGIN
    UPDATE lake.ducklake_data_file f SET end_snapshot = snapshot
    WHERE f.table_id = id AND f.path = lake.path_in_table(table_name, end_file.path)
          AND f.end_snapshot IS NULL
    RETURNING * INTO file;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lake: "%" is not a file of %', path, table_name
            USING ERRCODE = 'serialization_failure',
                  HINT = 'Another program has replaced or removed it.';
    END IF;
    UPDATE lake.ducklake_table_stats
    SET record_count = record_count - file.record_count,
        file_size_bytes = file_size_bytes - file.file_size_bytes
    WHERE table_id = id;
    INSERT INTO lake.ducklake_files_scheduled_for_deletion
    VALUES (file.data_file_id, end_file.path, true, clock_timestamp());
END
$body$;
COMMENT ON FUNCTION lake.end_file(bigint, text, text) IS
    'From this snapshot on, the file does not belong to its table. Older snapshots still read it, '
    'until lake.forget_files() removes it from the catalogue.';

-- A column keeps its bounds if a file has no statistics of it. The caller has locked the statistics
-- of files, so that no commit of DuckDB comes between.
CREATE OR REPLACE FUNCTION lake.narrow(id bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $body$
    WITH value AS (
        SELECT f.column_id, f.value_count, f.null_count, f.min_value, f.max_value,
               c.column_type ~ '^(u?int|decimal)' AS is_number,
               c.column_type = 'timestamptz' AS is_time
        FROM lake.ducklake_file_column_stats f
        JOIN lake.ducklake_column c USING (table_id, column_id)
        WHERE f.table_id = id AND c.end_snapshot IS NULL
    ), bound AS (
        SELECT column_id, count(*) AS files,
               bool_or(null_count IS NULL OR null_count > 0) AS has_null,
               bool_or(value_count > 0 AND min_value IS NULL) AS no_min,
               bool_or(value_count > 0 AND max_value IS NULL) AS no_max,
               (array_agg(min_value ORDER BY CASE WHEN is_number THEN min_value::numeric END,
                    CASE WHEN is_time THEN min_value::timestamptz END, min_value COLLATE "C")
                FILTER (WHERE value_count > 0))[1] AS least,
               (array_agg(max_value ORDER BY CASE WHEN is_number THEN max_value::numeric END DESC,
                    CASE WHEN is_time THEN max_value::timestamptz END DESC,
                    max_value COLLATE "C" DESC)
                FILTER (WHERE value_count > 0))[1] AS greatest
        FROM value GROUP BY column_id
    )
    UPDATE lake.ducklake_table_column_stats t
    SET contains_null = coalesce(has_null, false),
        min_value = CASE WHEN NOT no_min THEN least END,
        max_value = CASE WHEN NOT no_max THEN greatest END
    FROM lake.ducklake_table_column_stats s LEFT JOIN bound USING (column_id)
    WHERE s.table_id = id AND t.table_id = id AND t.column_id = s.column_id
          AND coalesce(files, 0) = (SELECT count(*) FROM lake.ducklake_data_file f
                                    WHERE f.table_id = id);
$body$;
COMMENT ON FUNCTION lake.narrow(bigint) IS
    'Sets the statistics of a table to those of its files, also of the files that ended and that '
    'older snapshots still read. They may have been wider, because of files that are gone.';

-- A snapshot that reads a removed file is removed too: it would lack rows silently. So time travel
-- goes back to the newest snapshot at which such a file ended.
CREATE OR REPLACE FUNCTION lake.forget_files(ended_before timestamptz) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    ids        bigint[];
    tables     bigint[];
    keep_from  bigint;
BEGIN
    LOCK TABLE lake.ducklake_file_column_stats IN SHARE ROW EXCLUSIVE MODE;
    SELECT array_agg(data_file_id) INTO ids FROM lake.ducklake_files_scheduled_for_deletion
    WHERE schedule_start < ended_before;
    SELECT max(end_snapshot), array_agg(DISTINCT table_id) INTO keep_from, tables
    FROM lake.ducklake_data_file
    WHERE data_file_id = ANY (ids);
    DELETE FROM lake.ducklake_snapshot WHERE snapshot_id < keep_from;
    DELETE FROM lake.ducklake_snapshot_changes WHERE snapshot_id < keep_from;
    DELETE FROM lake.ducklake_file_column_stats WHERE data_file_id = ANY (ids);
    DELETE FROM lake.file_checksums WHERE data_file_id = ANY (ids);
    DELETE FROM lake.ducklake_data_file WHERE data_file_id = ANY (ids);
    PERFORM lake.narrow(t) FROM unnest(tables) AS t;
    RETURN QUERY SELECT path::text FROM lake.ducklake_files_scheduled_for_deletion
                 WHERE data_file_id = ANY (ids) ORDER BY path;
END
$body$;
COMMENT ON FUNCTION lake.forget_files(timestamptz) IS
    'Removes files that ended before this time from the catalogue, with the snapshots that read '
    'them, and narrows the statistics of their tables. Returns their paths. They stay in '
    'ducklake_files_scheduled_for_deletion until the caller has deleted them.';

-- Controls, dead letters and counts are few, and stay. Files with deleted rows count as the rows
-- that they had.
CREATE OR REPLACE FUNCTION lake.expire_days(keep integer, OUT days bigint, OUT files bigint,
                                            OUT rows bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    first_kept date;
    ended      bigint;
BEGIN
    IF keep IS NULL OR keep < 1 THEN
        RAISE EXCEPTION 'lake.expire_days: invalid value "%" for keep: expected 1 or more', keep
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM lake.lock();
    CREATE TEMPORARY TABLE lake_old ON COMMIT DROP AS
    SELECT table_name, substring(f.path FROM '^event_date=([0-9-]{10})/')::date AS day,
           table_name || '/' || f.path AS path, record_count
    FROM lake.ducklake_data_file f JOIN lake.ducklake_table t USING (table_id)
    WHERE f.end_snapshot IS NULL AND table_name IN ('bronze', 'late_events')
          AND f.path ~ '^event_date=[0-9-]{10}/';
    -- Days that have files: one event with a date far ahead does not end all others.
    first_kept := (SELECT min(day) FROM (SELECT DISTINCT day FROM pg_temp.lake_old
                                         WHERE table_name = 'bronze'
                                         ORDER BY day DESC LIMIT keep) AS newest);
    DELETE FROM pg_temp.lake_old WHERE day >= first_kept OR first_kept IS NULL;
    SELECT count(DISTINCT day), count(*), coalesce(sum(record_count), 0) INTO days, files, rows
    FROM pg_temp.lake_old;
    IF files > 0 THEN
        SELECT b.snapshot INTO ended
        FROM lake.begin_snapshot(0, 'deleted_from_table:1,deleted_from_table:2',
                                 jsonb_build_object('expired_before', first_kept)) b;
        PERFORM lake.end_file(ended, table_name, path) FROM pg_temp.lake_old;
        INSERT INTO lake.expired_days AS e (table_name, day, rows)
        SELECT table_name, day, sum(record_count) FROM pg_temp.lake_old GROUP BY 1, 2
        ON CONFLICT (table_name, day) DO UPDATE
        SET rows = e.rows + excluded.rows, expired_at = excluded.expired_at;
    END IF;
    DROP TABLE pg_temp.lake_old;
END
$body$;
COMMENT ON FUNCTION lake.expire_days(integer) IS
    'Ends the files of bronze and late_events of all days before the newest `keep` days of bronze '
    'that have files. Returns how many days, files and rows that were.';

-- A clock is "first,user,second,announced,flags" and perhaps ",far,far_user"
-- (common/event/clock.h).
CREATE OR REPLACE FUNCTION lake.forget_in_clocks(clocks text[])
RETURNS TABLE (clock text, pseudonymous text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
    WITH given AS (
        SELECT DISTINCT c, string_to_array(c, ',') AS part FROM unnest(clocks) AS c
    ), hit AS MATERIALIZED (
        SELECT user_id, pseudonym::text
        FROM processed.forgotten(ARRAY(SELECT unnest(ARRAY[part[2], part[7]]) FROM given))
    )
    SELECT c, array_to_string(ARRAY[part[1], coalesce(a.pseudonym, part[2]), part[3], part[4],
                                    part[5], part[6], coalesce(b.pseudonym, part[7])], ',')
    FROM given LEFT JOIN hit a ON a.user_id = part[2] LEFT JOIN hit b ON b.user_id = part[7]
    WHERE a.user_id IS NOT NULL OR b.user_id IS NOT NULL;
$body$;
COMMENT ON FUNCTION lake.forget_in_clocks(text[]) IS
    'Of these clocks, those with a forgotten user, and the same with the pseudonym. Their users '
    'are the last to move the clock, and one whose event was too far ahead.';

CREATE OR REPLACE FUNCTION lake.forget_in_batches() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $body$
    UPDATE lake.batches b SET clock = f.pseudonymous
    FROM lake.forget_in_clocks(ARRAY(SELECT clock FROM lake.batches)) f WHERE b.clock = f.clock;
$body$;
COMMENT ON FUNCTION lake.forget_in_batches() IS
    'Replaces forgotten users in the clocks of batches. Clocks of positions stay: each is replaced '
    'by the next batch of its partition.';

-- For a catalogue that is older than its files, after a restore. Snapshots and their numbers stay,
-- so that names of compacted files are not given again. lake register then fills it.
CREATE OR REPLACE FUNCTION lake.empty_catalogue() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    files bigint;
BEGIN
    PERFORM lake.lock();
    DELETE FROM lake.ducklake_file_column_stats;
    DELETE FROM lake.ducklake_table_column_stats;
    DELETE FROM lake.ducklake_table_stats;
    DELETE FROM lake.ducklake_files_scheduled_for_deletion;
    DELETE FROM lake.file_checksums;
    DELETE FROM lake.ducklake_data_file;
    GET DIAGNOSTICS files = ROW_COUNT;
    DELETE FROM lake.batches;
    DELETE FROM lake.positions;
    DELETE FROM lake.ducklake_metadata WHERE key = 'data_path' AND scope IS NULL;
    RETURN files;
END
$body$;
COMMENT ON FUNCTION lake.empty_catalogue() IS
    'Removes all files, batches and positions from the catalogue, and returns the number of files. '
    'Files of the lake stay. lake register makes the catalogue again from them.';
