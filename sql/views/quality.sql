CREATE OR REPLACE VIEW reporting.data_quality AS
SELECT m.layer, m.check_name, m.subject, m.value, t.minimum, t.maximum,
       coalesce(m.value < t.minimum, false) OR coalesce(m.value > t.maximum, false) AS breached,
       t.meaning, m.measured_at
FROM mart.quality_measures m LEFT JOIN reporting.data_quality_thresholds t USING (check_name);
COMMENT ON VIEW reporting.data_quality IS
    'Measures of each layer: bronze (the counts of bronze-sink), raw, processed, reporting. '
    'subject: what was measured, if a check has several rows.';

CREATE OR REPLACE VIEW reporting.data_quality_breaches AS
SELECT * FROM reporting.data_quality WHERE breached;
COMMENT ON VIEW reporting.data_quality_breaches IS
    'Measures beyond their threshold. Their number is pg-loader''s metric reporting_breaches.';
