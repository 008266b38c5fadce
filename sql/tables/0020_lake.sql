-- The catalogue of the lake (bronze-sink/lake): where each partition continues, its batches, and
-- the tables of DuckLake 1.0, as DuckDB's extension ducklake 1.5.5 makes them. DuckDB reads it so:
--
--   ATTACH 'ducklake:postgres:dbname=funnel' AS lake (METADATA_SCHEMA 'lake', READ_ONLY);
--
-- Rows are written by the functions in functions/lake.sql, under the lock that lake.lock() takes.
-- The columns of the five tables are those of bronze-sink/lake/lake_tables.c; a column's id is the
-- field id in the Parquet files.
CREATE SCHEMA lake;
COMMENT ON SCHEMA lake IS 'Catalogue of the lake: positions, batches, and DuckLake 1.0 tables.';

-- ---------------------------------------------------------------- our own tables

CREATE TABLE lake.positions (
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint  NOT NULL CHECK (next_offset >= 0),
    last_record text,
    segment     text,
    clock       text,
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE lake.positions IS
    'Where the lake continues in each partition. Moves only in the transaction that registers the '
    'files.';
COMMENT ON COLUMN lake.positions.topic IS 'Topic with its prefix.';
COMMENT ON COLUMN lake.positions.partition IS 'Partition of the topic.';
COMMENT ON COLUMN lake.positions.next_offset IS
    'The lake has every record before this offset, and none from it on.';
COMMENT ON COLUMN lake.positions.last_record IS
    'Offset, time and hash of the newest record before next_offset. Recognises a topic that was '
    'deleted and created again. Null: no record yet.';
COMMENT ON COLUMN lake.positions.segment IS
    'Segment of the source that is open at next_offset; null: none. Bronze only.';
COMMENT ON COLUMN lake.positions.clock IS
    'Event-time clock of the partition at next_offset, as in restore metadata; null: none. Bronze '
    'only.';

CREATE TABLE lake.batches (
    topic        text        NOT NULL,
    partition    integer     NOT NULL,
    first_offset bigint      NOT NULL CHECK (first_offset >= 0),
    next_offset  bigint      NOT NULL CHECK (next_offset > first_offset),
    rows         jsonb       NOT NULL,
    clock        text,
    segment      text,
    written_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    snapshot     bigint,
    PRIMARY KEY (topic, partition, first_offset)
);
COMMENT ON TABLE lake.batches IS
    'Batches of records that the lake has written. Those of a partition have neither gap nor '
    'overlap.';
COMMENT ON COLUMN lake.batches.topic IS 'Topic with its prefix.';
COMMENT ON COLUMN lake.batches.partition IS 'Partition of the topic.';
COMMENT ON COLUMN lake.batches.first_offset IS 'First offset of the batch.';
COMMENT ON COLUMN lake.batches.next_offset IS 'Offset after the batch.';
COMMENT ON COLUMN lake.batches.rows IS
    'Rows by table of the lake; {}: the offsets hold no record, for example only the ends of '
    'transactions.';
COMMENT ON COLUMN lake.batches.clock IS 'As lake.positions.clock, at next_offset.';
COMMENT ON COLUMN lake.batches.segment IS 'As lake.positions.segment, at next_offset.';
COMMENT ON COLUMN lake.batches.written_at IS 'When the batch was registered.';
COMMENT ON COLUMN lake.batches.snapshot IS
    'Snapshot of the catalogue that added the files; null: the batch has no files.';
CREATE INDEX batches_snapshot ON lake.batches (snapshot);

CREATE TABLE lake.expired_days (
    table_name text        NOT NULL,
    day        date        NOT NULL,
    rows       bigint      NOT NULL,
    expired_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (table_name, day)
);
COMMENT ON TABLE lake.expired_days IS
    'Days that lake expire has removed. Batches still count their rows.';
COMMENT ON COLUMN lake.expired_days.table_name IS 'Table of the lake: bronze or late_events.';
COMMENT ON COLUMN lake.expired_days.day IS 'UTC day of the event time.';
COMMENT ON COLUMN lake.expired_days.rows IS 'Rows of this day that were removed, in all runs.';
COMMENT ON COLUMN lake.expired_days.expired_at IS 'When the day was removed last.';

-- ---------------------------------------------------------------- tables of DuckLake

CREATE TABLE lake.ducklake_metadata (
    key varchar NOT NULL, value varchar NOT NULL, scope varchar, scope_id bigint
);
COMMENT ON TABLE lake.ducklake_metadata IS
    'Settings of the catalogue: version, data path, options.';

CREATE TABLE lake.ducklake_snapshot (
    snapshot_id bigint PRIMARY KEY, snapshot_time timestamptz, schema_version bigint,
    next_catalog_id bigint, next_file_id bigint
);
COMMENT ON TABLE lake.ducklake_snapshot IS 'Versions of the lake. Each commit adds one.';

CREATE TABLE lake.ducklake_snapshot_changes (
    snapshot_id bigint PRIMARY KEY, changes_made varchar, author varchar, commit_message varchar,
    commit_extra_info varchar
);
COMMENT ON TABLE lake.ducklake_snapshot_changes IS
    'What each snapshot changed, by whom. commit_extra_info has the batches.';

CREATE TABLE lake.ducklake_schema (
    schema_id bigint PRIMARY KEY, schema_uuid uuid, begin_snapshot bigint, end_snapshot bigint,
    schema_name varchar, path varchar, path_is_relative boolean
);
COMMENT ON TABLE lake.ducklake_schema IS 'Schemas of the lake. There is one, main.';

CREATE TABLE lake.ducklake_table (
    table_id bigint, table_uuid uuid, begin_snapshot bigint, end_snapshot bigint,
    schema_id bigint, table_name varchar, path varchar, path_is_relative boolean
);
COMMENT ON TABLE lake.ducklake_table IS 'Tables of the lake.';

CREATE TABLE lake.ducklake_column (
    column_id bigint, begin_snapshot bigint, end_snapshot bigint, table_id bigint,
    column_order bigint, column_name varchar, column_type varchar, initial_default varchar,
    default_value varchar, nulls_allowed boolean, parent_column bigint,
    default_value_type varchar, default_value_dialect varchar
);
COMMENT ON TABLE lake.ducklake_column IS
    'Columns of the tables. column_id is the field id in the Parquet files.';

CREATE TABLE lake.ducklake_data_file (
    data_file_id bigint PRIMARY KEY, table_id bigint, begin_snapshot bigint, end_snapshot bigint,
    file_order bigint, path varchar, path_is_relative boolean, file_format varchar,
    record_count bigint, file_size_bytes bigint, footer_size bigint, row_id_start bigint,
    partition_id bigint, encryption_key varchar, mapping_id bigint, partial_max bigint
);
COMMENT ON TABLE lake.ducklake_data_file IS
    'Parquet files, from begin_snapshot until before end_snapshot (null: still).';

CREATE TABLE lake.ducklake_file_column_stats (
    data_file_id bigint, table_id bigint, column_id bigint, column_size_bytes bigint,
    value_count bigint, null_count bigint, min_value varchar, max_value varchar,
    contains_nan boolean, extra_stats varchar
);
COMMENT ON TABLE lake.ducklake_file_column_stats IS
    'Least and greatest value of each column of each file, for pruning.';

CREATE TABLE lake.ducklake_table_stats (
    table_id bigint, record_count bigint, next_row_id bigint, file_size_bytes bigint
);
COMMENT ON TABLE lake.ducklake_table_stats IS 'Rows and bytes of each table.';

CREATE TABLE lake.ducklake_table_column_stats (
    table_id bigint, column_id bigint, contains_null boolean, contains_nan boolean,
    min_value varchar, max_value varchar, extra_stats varchar
);
COMMENT ON TABLE lake.ducklake_table_column_stats IS
    'Least and greatest value of each column of each table.';

CREATE TABLE lake.ducklake_files_scheduled_for_deletion (
    data_file_id bigint, path varchar, path_is_relative boolean, schedule_start timestamptz
);
COMMENT ON TABLE lake.ducklake_files_scheduled_for_deletion IS
    'Files that nothing reads any more, and when they were replaced.';

CREATE TABLE lake.ducklake_schema_versions (
    begin_snapshot bigint, schema_version bigint, table_id bigint
);
COMMENT ON TABLE lake.ducklake_schema_versions IS
    'Snapshots at which the columns of a table changed.';

CREATE TABLE lake.ducklake_tag (
    object_id bigint, begin_snapshot bigint, end_snapshot bigint, key varchar, value varchar
);
COMMENT ON TABLE lake.ducklake_tag IS 'Comments on tables.';

CREATE TABLE lake.ducklake_column_tag (
    table_id bigint, column_id bigint, begin_snapshot bigint, end_snapshot bigint, key varchar,
    value varchar
);
COMMENT ON TABLE lake.ducklake_column_tag IS 'Comments on columns.';

CREATE TABLE lake.ducklake_delete_file (
    delete_file_id bigint PRIMARY KEY, table_id bigint, begin_snapshot bigint,
    end_snapshot bigint, data_file_id bigint, path varchar, path_is_relative boolean,
    format varchar, delete_count bigint, file_size_bytes bigint, footer_size bigint,
    encryption_key varchar, partial_max bigint
);
COMMENT ON TABLE lake.ducklake_delete_file IS 'Deleted rows. The lake deletes none; DuckDB may.';

CREATE TABLE lake.ducklake_view (
    view_id bigint, view_uuid uuid, begin_snapshot bigint, end_snapshot bigint, schema_id bigint,
    view_name varchar, dialect varchar, sql varchar, column_aliases varchar
);
COMMENT ON TABLE lake.ducklake_view IS 'Views that were made with DuckDB.';

CREATE TABLE lake.ducklake_macro (
    schema_id bigint, macro_id bigint, macro_name varchar, begin_snapshot bigint,
    end_snapshot bigint
);
COMMENT ON TABLE lake.ducklake_macro IS 'Macros that were made with DuckDB.';

CREATE TABLE lake.ducklake_macro_impl (
    macro_id bigint, impl_id bigint, dialect varchar, sql varchar, type varchar
);
COMMENT ON TABLE lake.ducklake_macro_impl IS 'Texts of the macros.';

CREATE TABLE lake.ducklake_macro_parameters (
    macro_id bigint, impl_id bigint, column_id bigint, parameter_name varchar,
    parameter_type varchar, default_value varchar, default_value_type varchar
);
COMMENT ON TABLE lake.ducklake_macro_parameters IS 'Parameters of the macros.';

CREATE TABLE lake.ducklake_column_mapping (
    mapping_id bigint, table_id bigint, type varchar
);
COMMENT ON TABLE lake.ducklake_column_mapping IS 'Files without field ids. The lake has none.';

CREATE TABLE lake.ducklake_name_mapping (
    mapping_id bigint, column_id bigint, source_name varchar, target_field_id bigint,
    parent_column bigint, is_partition boolean
);
COMMENT ON TABLE lake.ducklake_name_mapping IS 'Column names of files without field ids.';

CREATE TABLE lake.ducklake_partition_info (
    partition_id bigint, table_id bigint, begin_snapshot bigint, end_snapshot bigint
);
COMMENT ON TABLE lake.ducklake_partition_info IS
    'Partitioned tables. The lake has none: it prunes by statistics.';

CREATE TABLE lake.ducklake_partition_column (
    partition_id bigint, table_id bigint, partition_key_index bigint, column_id bigint,
    transform varchar
);
COMMENT ON TABLE lake.ducklake_partition_column IS 'Columns of partitioned tables.';

CREATE TABLE lake.ducklake_file_partition_value (
    data_file_id bigint, table_id bigint, partition_key_index bigint, partition_value varchar
);
COMMENT ON TABLE lake.ducklake_file_partition_value IS 'Partition values of files.';

CREATE TABLE lake.ducklake_file_variant_stats (
    data_file_id bigint, table_id bigint, column_id bigint, variant_path varchar,
    shredded_type varchar, column_size_bytes bigint, value_count bigint, null_count bigint,
    min_value varchar, max_value varchar, contains_nan boolean, extra_stats varchar
);
COMMENT ON TABLE lake.ducklake_file_variant_stats IS
    'Statistics of columns of type VARIANT. The lake has none.';

CREATE TABLE lake.ducklake_inlined_data_tables (
    table_id bigint, table_name varchar, schema_version bigint
);
COMMENT ON TABLE lake.ducklake_inlined_data_tables IS
    'Tables with small inserts that are kept in PostgreSQL. The lake has none.';

CREATE TABLE lake.ducklake_sort_info (
    sort_id bigint, table_id bigint, begin_snapshot bigint, end_snapshot bigint
);
COMMENT ON TABLE lake.ducklake_sort_info IS 'Tables with a sort order.';

CREATE TABLE lake.ducklake_sort_expression (
    sort_id bigint, table_id bigint, sort_key_index bigint, expression varchar, dialect varchar,
    sort_direction varchar, null_order varchar
);
COMMENT ON TABLE lake.ducklake_sort_expression IS 'Sort orders of tables.';

-- Not of DuckLake: uniqueness that its writers rely on, and indexes for our functions.
ALTER TABLE lake.ducklake_table_stats ADD UNIQUE (table_id);
ALTER TABLE lake.ducklake_table_column_stats ADD UNIQUE (table_id, column_id);
CREATE INDEX lake_stats_of_column ON lake.ducklake_file_column_stats (table_id, column_id);
CREATE INDEX lake_stats_of_file ON lake.ducklake_file_column_stats (data_file_id);
CREATE INDEX lake_files_of_table ON lake.ducklake_data_file (table_id, path);

-- ---------------------------------------------------------------- its first rows

-- The lake writer adds data_path. Inserts of DuckDB never go to PostgreSQL but to files.
INSERT INTO lake.ducklake_metadata (key, value) VALUES
    ('version', '1.0'), ('created_by', 'funnel'), ('encrypted', 'false'),
    ('data_inlining_row_limit', '0');

INSERT INTO lake.ducklake_snapshot VALUES (0, now(), 0, 1, 0), (1, now(), 1, 6, 0);
INSERT INTO lake.ducklake_snapshot_changes (snapshot_id, changes_made) VALUES
    (0, 'created_schema:"main"'),
    (1, 'created_table:"main"."bronze",created_table:"main"."late_events",'
        'created_table:"main"."dead_letters",created_table:"main"."controls",'
        'created_table:"main"."counts"');
INSERT INTO lake.ducklake_schema (schema_id, schema_uuid, begin_snapshot, schema_name, path,
                                  path_is_relative)
VALUES (0, gen_random_uuid(), 0, 'main', '', true);

CREATE TEMPORARY TABLE lake_table (table_id bigint, name text, kind text, comment text);
INSERT INTO lake_table VALUES
    (1, 'bronze', 'event', 'Events that bronze-sink accepted, each once'),
    (2, 'late_events', 'event', 'Events that came too late for a rollup'),
    (3, 'dead_letters', 'record', 'Records that a service refused'),
    (4, 'controls', 'record', 'Begin, jump and end of the segments of the source'),
    (5, 'counts', 'record', 'Counts that the services announce');
INSERT INTO lake.ducklake_table (table_id, table_uuid, begin_snapshot, schema_id, table_name, path,
                                 path_is_relative)
SELECT table_id, gen_random_uuid(), 1, 0, name, name || '/', true FROM lake_table;
INSERT INTO lake.ducklake_schema_versions (begin_snapshot, schema_version, table_id)
SELECT 1, 1, table_id FROM lake_table;
INSERT INTO lake.ducklake_tag (object_id, begin_snapshot, key, value)
SELECT table_id, 1, 'comment', comment FROM lake_table;

CREATE TEMPORARY TABLE lake_column (
    kind text, column_id bigint, name text, type text, parent bigint, comment text
);
INSERT INTO lake_column VALUES
    ('event', 1, 'event_id', 'uuid', NULL, 'md5 of session, user, product, type and time'),
    ('event', 2, 'event_time', 'timestamptz', NULL, NULL),
    ('event', 3, 'event_type', 'varchar', NULL, NULL),
    ('event', 4, 'product_id', 'int64', NULL, NULL),
    ('event', 5, 'category_id', 'int64', NULL, 'null: none'),
    ('event', 6, 'category_code', 'varchar', NULL, NULL),
    ('event', 7, 'category1', 'varchar', NULL, 'first level of category_code'),
    ('event', 8, 'category2', 'varchar', NULL, 'second level of category_code'),
    ('event', 9, 'category3', 'varchar', NULL, 'third level of category_code'),
    ('event', 10, 'category4', 'varchar', NULL, 'fourth level of category_code'),
    ('event', 11, 'brand', 'varchar', NULL, NULL),
    ('event', 12, 'price', 'decimal(18,2)', NULL, 'in the currency of the source'),
    ('event', 13, 'user_id', 'int64', NULL, NULL),
    ('event', 14, 'user_session', 'varchar', NULL, NULL),
    ('event', 15, 'source_file', 'varchar', NULL, NULL),
    ('event', 16, 'source_row', 'int64', NULL, '1 is the first row after the header'),
    ('event', 17, 'raw_partition', 'int32', NULL, 'partition of the raw record'),
    ('event', 18, 'raw_offset', 'int64', NULL, 'offset of the raw record'),
    ('event', 19, 'raw_time', 'timestamptz', NULL,
        'append time of the raw record: time of ingestion'),
    ('event', 20, 'source_clock', 'timestamptz', NULL, 'event time that the source announced'),
    ('event', 21, 'record_partition', 'int32', NULL, 'partition of the record in its topic'),
    ('event', 22, 'record_offset', 'int64', NULL, 'offset of the record in its topic'),
    ('event', 23, 'record_time', 'timestamptz', NULL, 'time of the record in its topic'),
    ('event', 24, 'segment', 'varchar', NULL, 'segment that is open at this record; null: none'),
    ('event', 25, 'headers', 'list', NULL, 'as they came; null: none'),
    ('event', 26, 'element', 'struct', 25, NULL),
    ('event', 27, 'name', 'varchar', 26, NULL),
    ('event', 28, 'value', 'blob', 26, NULL),
    ('record', 1, 'record_partition', 'int32', NULL, 'partition of the record in its topic'),
    ('record', 2, 'record_offset', 'int64', NULL, 'offset of the record in its topic'),
    ('record', 3, 'record_time', 'timestamptz', NULL, 'time of the record in its topic'),
    ('record', 4, 'kind', 'varchar', NULL,
        'dead letters: the reason; controls: begin, jump or end; counts: the service'),
    ('record', 5, 'detail', 'varchar', NULL,
        'dead letters: the detail; controls: the segment; counts: the record as JSON'),
    ('record', 6, 'key', 'blob', NULL, 'as it came; null: none'),
    ('record', 7, 'value', 'blob', NULL, 'as it came; counts: the Avro body without its frame'),
    ('record', 8, 'headers', 'list', NULL, 'as they came; null: none'),
    ('record', 9, 'element', 'struct', 8, NULL),
    ('record', 10, 'name', 'varchar', 9, NULL),
    ('record', 11, 'value', 'blob', 9, NULL);
INSERT INTO lake.ducklake_column (column_id, begin_snapshot, table_id, column_order, column_name,
    column_type, default_value, nulls_allowed, parent_column, default_value_type,
    default_value_dialect)
SELECT column_id, 1, table_id, column_id, c.name, type, 'NULL', true, parent,
       CASE WHEN type IN ('list', 'struct') THEN '' ELSE 'literal' END, 'duckdb'
FROM lake_table t JOIN lake_column c USING (kind);
INSERT INTO lake.ducklake_column_tag (table_id, column_id, begin_snapshot, key, value)
SELECT table_id, column_id, 1, 'comment', c.comment
FROM lake_table t JOIN lake_column c USING (kind) WHERE c.comment IS NOT NULL;
DROP TABLE lake_table, lake_column;
