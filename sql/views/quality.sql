CREATE OR REPLACE VIEW reporting.data_quality AS
SELECT m.layer, m.check_name, m.subject, m.value, t.minimum, t.maximum,
       mart.is_breach(m.value, m.volume, t.minimum, t.maximum, t.minimum_volume) AS breached,
       t.meaning, m.measured_at, m.volume
FROM mart.quality_measures m LEFT JOIN reporting.data_quality_thresholds t USING (check_name);
COMMENT ON VIEW reporting.data_quality IS
    'Measures of each layer: bronze (the counts of bronze-sink), raw, processed, reporting. Shares '
    'and loader_rejects are of today, by the time of the data. All else is as it stands now. '
    'subject: what was measured, if a check has several rows.';
COMMENT ON COLUMN reporting.data_quality.volume IS
    'What a share is of: rows or events of today. With less than minimum_volume of the threshold '
    'it is not a breach.';

CREATE OR REPLACE VIEW reporting.data_quality_breaches AS
SELECT * FROM reporting.data_quality WHERE breached;
COMMENT ON VIEW reporting.data_quality_breaches IS
    'Measures beyond their threshold. Their number is pg-loader''s metric reporting_breaches.';

CREATE OR REPLACE VIEW reporting.data_quality_days AS
SELECT d.day, d.layer, d.check_name, d.subject, d.value, d.volume, t.minimum, t.maximum,
       mart.is_breach(d.value, d.volume, t.minimum, t.maximum, t.minimum_volume) AS breached,
       d.measured_at
FROM mart.quality_days d LEFT JOIN reporting.data_quality_thresholds t USING (check_name);
COMMENT ON VIEW reporting.data_quality_days IS
    'The history of reporting.data_quality: each measure as last measured on each UTC day of the '
    'data. breached is by the thresholds of now.';
