-- Alerts: rules, their state, openings, and the outbox from which pg-loader sends them.
-- functions/alerts.sql evaluates the rules.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

CREATE TABLE reporting.alert_rules (
    rule           text     NOT NULL PRIMARY KEY,
    metric         text     NOT NULL,
    subject        text,
    compared_with  text     NOT NULL DEFAULT 'day before',
    direction      text     NOT NULL DEFAULT 'below',
    bound          numeric  NOT NULL,
    span           interval NOT NULL DEFAULT '1 hour',
    minimum_volume bigint   NOT NULL,
    hold           interval NOT NULL DEFAULT '10 minutes',
    enabled        boolean  NOT NULL DEFAULT true,
    note           text
);
COMMENT ON TABLE reporting.alert_rules IS
    'Conditions that open an alert. sql/README.md, "Alerts", has the exact definitions. Insert a '
    'row to begin, delete it or set enabled to false to end.';
COMMENT ON COLUMN reporting.alert_rules.rule IS
    'Name: lower-case letters, digits, _, . and -; also the key of its records in Kafka.';
COMMENT ON COLUMN reporting.alert_rules.metric IS
    'conversion (purchase events per view event), stage (events of a stage per event of the stage '
    'before), revenue, traffic (events), freshness (seconds since a layer changed) or quality (a '
    'measure of today).';
COMMENT ON COLUMN reporting.alert_rules.subject IS
    'stage: the event type. freshness: the layer of reporting.freshness. quality: the check_name '
    'of reporting.data_quality; null: the number of breaches. Else null.';
COMMENT ON COLUMN reporting.alert_rules.compared_with IS
    'fixed: bound is the limit. day before, week before: the limit is bound times the value of '
    'the same time 24 hours or 7 days before.';
COMMENT ON COLUMN reporting.alert_rules.direction IS
    'below or above: on which side of the limit the condition is met. At the limit it is not.';
COMMENT ON COLUMN reporting.alert_rules.bound IS
    'The limit in the unit of the metric, or a factor: 0.5 is half of the value before.';
COMMENT ON COLUMN reporting.alert_rules.span IS
    'How many minutes of events are added up; not used for freshness and quality.';
COMMENT ON COLUMN reporting.alert_rules.minimum_volume IS
    'With less volume the rule neither opens nor closes. Volume: see sql/README.md. If it is not '
    'given: 100, and 0 for metrics without volume.';
COMMENT ON COLUMN reporting.alert_rules.hold IS
    'How long the condition must be met without a break before an alert opens, and not met before '
    'it closes.';
COMMENT ON COLUMN reporting.alert_rules.note IS 'For people: what to do.';

CREATE TABLE reporting.alerts (
    alert_id      uuid        NOT NULL PRIMARY KEY,
    rule          text        NOT NULL,
    metric        text        NOT NULL,
    subject       text,
    compared_with text        NOT NULL,
    direction     text        NOT NULL,
    bound         numeric     NOT NULL,
    met_since     timestamptz NOT NULL,
    opened_at     timestamptz NOT NULL,
    value         numeric     NOT NULL,
    value_before  numeric,
    limit_value   numeric     NOT NULL,
    volume        numeric,
    closed_at     timestamptz,
    closed_value  numeric,
    closed_by     text,
    noticed_at    timestamptz NOT NULL DEFAULT now(),
    ended_at      timestamptz
);
CREATE UNIQUE INDEX alerts_open ON reporting.alerts (rule) WHERE closed_at IS NULL;
CREATE INDEX alerts_opened ON reporting.alerts (opened_at);
COMMENT ON TABLE reporting.alerts IS
    'Alerts: one row per opening. A rule has at most one open alert.';
COMMENT ON COLUMN reporting.alerts.alert_id IS
    'Made from rule and opened_at, so a database that is restored and sees the same events again '
    'gives the same id.';
COMMENT ON COLUMN reporting.alerts.rule IS
    'The rule of reporting.alert_rules. This column and the next five are as when it opened.';
COMMENT ON COLUMN reporting.alerts.met_since IS
    'Since when the condition was met, without a break. Time of the data, as of opened_at and '
    'closed_at; for freshness wall clock.';
COMMENT ON COLUMN reporting.alerts.opened_at IS
    'End of the minute with which the condition was met for the time hold of the rule.';
COMMENT ON COLUMN reporting.alerts.value IS
    'The metric over the span that ends at opened_at.';
COMMENT ON COLUMN reporting.alerts.value_before IS
    'The metric at the same time a day or a week before; null for a fixed bound.';
COMMENT ON COLUMN reporting.alerts.limit_value IS
    'What value was compared with: bound, or bound times value_before.';
COMMENT ON COLUMN reporting.alerts.volume IS 'Volume of the span; null for metrics without one.';
COMMENT ON COLUMN reporting.alerts.closed_at IS 'Null: open.';
COMMENT ON COLUMN reporting.alerts.closed_value IS
    'The metric over the span that ends at closed_at; null if the rule did not close it.';
COMMENT ON COLUMN reporting.alerts.closed_by IS
    'recovered, or what happened to the rule: changed, disabled or deleted.';
COMMENT ON COLUMN reporting.alerts.noticed_at IS 'Wall clock of the refresh that opened it.';
COMMENT ON COLUMN reporting.alerts.ended_at IS 'Wall clock of the refresh that closed it.';

CREATE TABLE mart.alert_states (
    rule         text NOT NULL PRIMARY KEY REFERENCES reporting.alert_rules
                 ON DELETE CASCADE ON UPDATE CASCADE,
    evaluated_to timestamptz,
    is_met       boolean,
    since        timestamptz,
    alert_id     uuid
);
COMMENT ON TABLE mart.alert_states IS 'How far each rule is evaluated, and what it has found.';
COMMENT ON COLUMN mart.alert_states.evaluated_to IS
    'Minutes before this are evaluated and never looked at again. Null: none.';
COMMENT ON COLUMN mart.alert_states.is_met IS
    'Whether the condition is met. Null: unknown, as the volume is too small.';
COMMENT ON COLUMN mart.alert_states.since IS 'Since when is_met has this value.';
COMMENT ON COLUMN mart.alert_states.alert_id IS 'The open alert.';

CREATE TABLE processed.alert_outbox (
    number            bigint      NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    alert_id          uuid        NOT NULL,
    state             text        NOT NULL CHECK (state IN ('opened', 'closed')),
    created_at        timestamptz NOT NULL DEFAULT now(),
    topic_sent_at     timestamptz,
    webhook_sent_at   timestamptz,
    webhook_tries     int         NOT NULL DEFAULT 0,
    webhook_next_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (alert_id, state)
);
CREATE INDEX alert_outbox_topic ON processed.alert_outbox (number) WHERE topic_sent_at IS NULL;
CREATE INDEX alert_outbox_webhook ON processed.alert_outbox (number) WHERE webhook_sent_at IS NULL;
COMMENT ON TABLE processed.alert_outbox IS
    'Openings and closings of alerts that pg-loader sends, in this order. Written in the '
    'transaction that opens or closes the alert.';
COMMENT ON COLUMN processed.alert_outbox.topic_sent_at IS
    'When the record was found or written in the topic of alerts; null: not yet.';
COMMENT ON COLUMN processed.alert_outbox.webhook_sent_at IS
    'When the webhook has accepted it; null: not yet, or there is no webhook.';
COMMENT ON COLUMN processed.alert_outbox.webhook_tries IS 'Requests that the webhook refused.';
COMMENT ON COLUMN processed.alert_outbox.webhook_next_at IS 'No request before this time.';

ALTER TABLE mart.state ADD alerts_settle interval NOT NULL DEFAULT '10 seconds';
COMMENT ON COLUMN mart.state.alerts_settle IS
    'Rules look at a minute when it has been final in the database for this long (wall clock), so '
    'that the rollups of other partitions have arrived too.';

-- A database that has data begins with the next minute.
INSERT INTO reporting.alert_rules
    (rule, metric, subject, compared_with, direction, bound, span, minimum_volume, hold, enabled,
     note) VALUES
    ('conversion_fell', 'conversion', NULL, 'day before', 'below', 0.5, '1 hour', 1000,
     '10 minutes', true, 'purchases per view are less than half of those of the day before'),
    ('revenue_fell', 'revenue', NULL, 'week before', 'below', 0.3, '3 hours', 100, '10 minutes',
     true, 'revenue is less than 30 % of that of the week before'),
    ('traffic_fell', 'traffic', NULL, 'day before', 'below', 0.3, '30 minutes', 1000, '10 minutes',
     true, 'events are less than 30 % of those of the day before'),
    ('cart_stage_fell', 'stage', 'cart', 'day before', 'below', 0.5, '1 hour', 1000, '10 minutes',
     false, 'off: carts per view, for sources with cart events'),
    ('events_are_stale', 'freshness', 'events', 'fixed', 'above', 900, '1 hour', 0, '0 minutes',
     false, 'off: for live traffic; after a replay it would stay open'),
    ('quality_breaches', 'quality', NULL, 'fixed', 'above', 0, '1 hour', 0, '10 minutes', false,
     'off: opens while reporting.data_quality_breaches has a row');
INSERT INTO mart.alert_states (rule, evaluated_to)
SELECT rule, (SELECT max(window_end) FROM processed.funnel_aggregates WHERE rollup = '1m:all')
FROM reporting.alert_rules;

-- ---------------------------------------------------------------- quality of each day

ALTER TABLE reporting.data_quality_thresholds ADD minimum_volume bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN reporting.data_quality_thresholds.minimum_volume IS
    'With less volume on a day, a measure is not a breach.';
UPDATE reporting.data_quality_thresholds SET minimum_volume = 100
WHERE check_name IN ('reject_share', 'duplicate_share', 'late_share', 'unreadable_share',
                     'share_without_category', 'share_without_brand', 'share_without_price',
                     'share_without_session', 'share_zero_price');

ALTER TABLE mart.quality_measures ADD volume numeric;
COMMENT ON COLUMN mart.quality_measures.volume IS
    'Rows or events of the day that a share is of; null for other measures.';

CREATE TABLE mart.quality_days (
    day         date        NOT NULL,
    layer       text        NOT NULL,
    check_name  text        NOT NULL,
    subject     text        NOT NULL,
    value       numeric,
    volume      numeric,
    measured_at timestamptz NOT NULL,
    PRIMARY KEY (day, layer, check_name, subject)
) WITH (fillfactor = 75);
COMMENT ON TABLE mart.quality_days IS
    'mart.quality_measures as last measured on each UTC day of the data.';

CREATE TABLE mart.quality_counts (
    counter text    NOT NULL PRIMARY KEY,
    day     date,
    base    numeric NOT NULL,
    newest  numeric NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE mart.quality_counts IS
    'Cumulative counts, so that a refresh knows how much of each is of today.';
COMMENT ON COLUMN mart.quality_counts.day IS 'Day of the data at the last refresh.';
COMMENT ON COLUMN mart.quality_counts.base IS 'The count at the last refresh before that day.';
COMMENT ON COLUMN mart.quality_counts.newest IS 'The count at the last refresh.';

-- Of rows that are counted already, nobody knows the day.
INSERT INTO mart.quality_counts
SELECT c.name, (SELECT max(event_date) FROM mart.hour_totals), total, total
FROM (SELECT sum(records_in) FILTER (WHERE service = 'bronze-sink') AS rows_in,
             sum(records_out) FILTER (WHERE service = 'bronze-sink') AS passed,
             sum(duplicates) FILTER (WHERE service = 'bronze-sink') AS duplicates,
             sum(dead) FILTER (WHERE service = 'bronze-sink') AS dead,
             sum(late) FILTER (WHERE service = 'funnel-aggregator'
                                     AND topic LIKE '%bronze\_events') AS late,
             sum(records_in) FILTER (WHERE service = 'funnel-aggregator'
                                           AND topic LIKE '%bronze\_events') AS late_of
      FROM processed.counts) AS n,
     LATERAL (VALUES ('rows_in', rows_in), ('passed', passed), ('duplicates', duplicates),
                     ('dead', dead), ('late', late), ('late_of', late_of)) AS c(name, total)
WHERE total > 0
UNION ALL
SELECT 'unreadable:' || f.name, (SELECT max(event_date) FROM mart.hour_totals), sum(f.n::numeric),
       sum(f.n::numeric)
FROM processed.counts, jsonb_each_text(unreadable_by_field) AS f(name, n)
WHERE service = 'bronze-sink' GROUP BY f.name
UNION ALL
SELECT 'loader_rejects:' || reason, (SELECT max(event_date) FROM mart.hour_totals), count(*),
       count(*)
FROM raw.dead_letters WHERE stage = 'loader' GROUP BY reason;

INSERT INTO mart.quality_days
SELECT event_date, 'raw', s.name, '', round(s.n / nullif(sum(events), 0), 4), sum(events), now()
FROM (SELECT event_date, sum(events) AS events, sum(without_category) AS category,
             sum(without_brand) AS brand, sum(without_price) AS price,
             sum(without_session) AS session, sum(zero_price) AS zero
      FROM mart.hour_totals GROUP BY event_date) AS h,
     LATERAL (VALUES ('share_without_category', category), ('share_without_brand', brand),
                     ('share_without_price', price), ('share_without_session', session),
                     ('share_zero_price', zero)) AS s(name, n)
GROUP BY event_date, s.name, s.n;

DROP FUNCTION IF EXISTS mart.put_measure(text, text, text, numeric);
