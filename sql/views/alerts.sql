CREATE OR REPLACE VIEW reporting.alert_status AS
SELECT r.rule, r.enabled, s.alert_id IS NOT NULL AS open, s.is_met, s.since, s.evaluated_to,
       s.alert_id, r.note
FROM reporting.alert_rules r JOIN mart.alert_states s USING (rule);
COMMENT ON VIEW reporting.alert_status IS 'Each alert rule: what it has found so far.';
COMMENT ON COLUMN reporting.alert_status.open IS 'An alert of the rule is open.';
COMMENT ON COLUMN reporting.alert_status.is_met IS
    'Whether the condition is met. Null: unknown, as the volume is too small or the rule has not '
    'looked at a minute yet.';
COMMENT ON COLUMN reporting.alert_status.since IS 'Since when is_met has this value.';
COMMENT ON COLUMN reporting.alert_status.evaluated_to IS
    'The rule has looked at the minutes before this.';

CREATE OR REPLACE VIEW reporting.alert_deliveries AS
SELECT number, alert_id, state, created_at, topic_sent_at, webhook_sent_at, webhook_tries,
       webhook_next_at = 'infinity' AS webhook_given_up
FROM processed.alert_outbox;
COMMENT ON VIEW reporting.alert_deliveries IS
    'What pg-loader has sent of each opening and closing of an alert.';
COMMENT ON COLUMN reporting.alert_deliveries.webhook_given_up IS
    'The webhook has not accepted it within a day; it is not sent any more.';

-- What pg-loader sends. An opening does not know how the alert ended.
CREATE OR REPLACE VIEW processed.alerts_to_send AS
SELECT o.number, o.alert_id, o.state, a.rule, a.metric, a.subject, a.compared_with, a.direction,
       a.bound, a.limit_value, a.value, a.value_before, a.volume, a.met_since, a.opened_at,
       CASE WHEN o.state = 'closed' THEN a.closed_at END AS closed_at,
       CASE WHEN o.state = 'closed' THEN a.closed_value END AS closed_value,
       CASE WHEN o.state = 'closed' THEN a.closed_by END AS closed_by,
       o.created_at, o.topic_sent_at, o.webhook_sent_at, o.webhook_next_at,
       json_build_object(
           'alert_id', o.alert_id, 'state', o.state, 'rule', a.rule, 'metric', a.metric,
           'subject', a.subject, 'compared_with', a.compared_with, 'direction', a.direction,
           'bound', a.bound, 'limit_value', a.limit_value, 'value', a.value,
           'value_before', a.value_before, 'volume', a.volume, 'met_since', a.met_since,
           'opened_at', a.opened_at,
           'closed_at', CASE WHEN o.state = 'closed' THEN a.closed_at END,
           'closed_value', CASE WHEN o.state = 'closed' THEN a.closed_value END,
           'closed_by', CASE WHEN o.state = 'closed' THEN a.closed_by END) AS body
FROM processed.alert_outbox o JOIN reporting.alerts a USING (alert_id);
COMMENT ON VIEW processed.alerts_to_send IS
    'Rows of processed.alert_outbox with the alert as it was at that time.';
COMMENT ON COLUMN processed.alerts_to_send.body IS 'The body of the request to the webhook.';
