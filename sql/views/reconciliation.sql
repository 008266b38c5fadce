CREATE OR REPLACE VIEW reporting.reconciliation AS
SELECT check_name, subject, expected, actual, actual - expected AS difference, state, checked_at,
       agreed_at, accepted AS accepted_difference,
       CASE
           WHEN state = 'ok' AND accepted <> 0 THEN 'accepted: ' || accepted_note
           WHEN state = 'ok' AND check_name = 'bronze doubles' THEN 'bronze has each event once'
           WHEN state = 'ok' THEN 'the layers agree'
           WHEN state = 'not applicable' THEN waits_for
           WHEN state = 'moving'
               THEN 'waits for ' || coalesce(waits_for, 'results that are on their way')
           WHEN state = 'overdue'
               THEN 'nothing has moved for ' || to_char(unchanged_for, 'HH24:MI:SS')
                    || ', and it still waits for ' || coalesce(waits_for, 'results')
           WHEN check_name = 'partition events' AND actual < expected
               THEN 'raw.events has fewer events than bronze-sink passed on: they were lost '
                    'between the two, or the loader refused them (raw.dead_letters, stage loader)'
           WHEN check_name = 'partition events' AND actual > expected
               THEN 'raw.events has more events than bronze-sink counted: its counts were lost, or '
                    'another program writes to bronze'
           WHEN check_name = 'partition events'
               THEN 'counts of bronze-sink are missing for events that are stored'
           WHEN check_name = 'bronze doubles'
               THEN 'bronze has these events twice: raw.events has them once, rollups and visits '
                    'have counted them twice'
           WHEN check_name = 'segment rows'
               THEN 'fewer rows arrived than the producer sent: the raw topic was created again, '
                    'or bronze-sink has skipped rows'
           WHEN actual > expected
               THEN 'the stream has counted more than raw.events has: its input or its results are '
                    'doubled'
           ELSE 'the stream has counted less than raw.events has: results were lost, or replaced '
                'by those of a part of the input'
       END AS explanation
FROM mart.reconciliations;
COMMENT ON VIEW reporting.reconciliation IS
    'Do the layers hold the same events? One row per check and partition, UTC day or segment. '
    'Rows that differ or are overdue are breaches of data quality.';
COMMENT ON COLUMN reporting.reconciliation.check_name IS
    'partition events: bronze-sink''s counts against raw.events. bronze doubles: events that '
    'bronze has twice. day events, day revenue: raw.events against the rollup 1d:all. visit '
    'events, visit revenue: raw.events against visits. segment rows: rows that the producer sent '
    'against those that arrived.';
COMMENT ON COLUMN reporting.reconciliation.subject IS
    'Partition of raw and bronze, UTC day, or segment and run.';
COMMENT ON COLUMN reporting.reconciliation.expected IS
    'The number of the first layer: counts of bronze-sink, 0 doubles, raw.events, rows announced. '
    'Null: not known yet.';
COMMENT ON COLUMN reporting.reconciliation.actual IS
    'The number of the layer after it: raw.events, doubles, rollup or visits with the events that '
    'were late for them, rows that arrived (at most as announced).';
COMMENT ON COLUMN reporting.reconciliation.difference IS 'actual minus expected.';
COMMENT ON COLUMN reporting.reconciliation.state IS
    'ok: equal. moving: not equal yet, as one layer is ahead of the other. differs: not equal, '
    'and nothing is on its way; it stays until they are equal, or accepted. overdue: could not be '
    'compared for a quarter of an hour in which nothing moved. not applicable: see explanation.';
COMMENT ON COLUMN reporting.reconciliation.checked_at IS
    'When it was last compared. A row that is ok is compared again only after a change.';
COMMENT ON COLUMN reporting.reconciliation.agreed_at IS 'When it was last found equal.';
COMMENT ON COLUMN reporting.reconciliation.accepted_difference IS
    'Difference that an administrator has accepted (reporting.accept_difference); 0: none.';
COMMENT ON COLUMN reporting.reconciliation.explanation IS
    'What the row waits for, or the usual cause of its difference.';
