-- Which files of the lake were searched for forgotten users. lake compact writes it.
--
-- A row per file, and not the newest file that was searched: a run may end in the middle, and a
-- writer may register a file that it began before a request. A file without a row is searched.
CREATE TABLE lake.forgotten_checks (
    data_file_id bigint NOT NULL PRIMARY KEY
                 REFERENCES lake.ducklake_data_file ON DELETE CASCADE,
    request      bigint NOT NULL CHECK (request >= 0)
);
COMMENT ON TABLE lake.forgotten_checks IS
    'Files of the lake that were searched for users of reporting.forget_user().';
COMMENT ON COLUMN lake.forgotten_checks.data_file_id IS 'The file.';
COMMENT ON COLUMN lake.forgotten_checks.request IS
    'It has no user of this request or of one before (reporting.forget_requests).';
