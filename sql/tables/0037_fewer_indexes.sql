-- One index by range for events instead of three, and none for visits. An index of this kind costs
-- a search for each row that is stored, also if the row changes nothing in it. Three of them took
-- 1.1 of 5.2 microseconds of the COPY of an event, one with the same columns takes 0.4. A search by
-- one of the columns reads as few ranges as before.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

-- Recent days are read by hour ("since 10:00"), and rows of the source are looked up
-- (sql/README.md, "Lineage"). Batches come nearly in the order of all three columns; rows within a
-- batch do not (pg-loader/event_order.h). A range of 32 pages has about 1,900 events. A filled
-- table is read once, about a second for a million events.
DROP INDEX raw.event_rows_event_time_brin, raw.event_rows_loaded_at_brin,
           raw.event_rows_source_row_brin;
CREATE INDEX event_rows_brin ON raw.event_rows USING brin (event_time, loaded_at, source_row)
    WITH (pages_per_range = 32, autosummarize = on);

-- The primary key begins with visit_start.
DROP INDEX processed.visit_rows_visit_start_brin;
