-- Dead letters that were sent to the raw topic again (the program redrive) say so.
--
-- The row stays as it is: it tells of the record at source_offset, which was refused and counted so. The record that came back has an
-- offset of its own and is counted again, as what it is then; its header redriven_from names the dead letter.
ALTER TABLE raw.dead_letters ADD COLUMN redriven_at timestamptz;
COMMENT ON COLUMN raw.dead_letters.redriven_at IS 'When it was sent to the raw topic again; null: not yet. What became of it is told by raw.events, or by another dead letter.';

DO $body$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'funnel_loader') THEN
        GRANT UPDATE (redriven_at) ON raw.dead_letters TO funnel_loader;
    END IF;
END
$body$;
