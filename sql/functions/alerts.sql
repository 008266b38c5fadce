-- Alerts: which minutes the rules look at, and what they find. sql/README.md, "Alerts", has the
-- definitions.
--
-- A rule of events looks at each minute once, in order, when the minute is final. A final minute
-- does not change, so the result does not depend on when refreshes run, how often, or how fast the
-- data arrives. mart.alert_states has how far a rule has come. It moves in the transaction that
-- opens or closes the alert, so no minute is looked at twice.

-- ---------------------------------------------------------------- openings and closings

-- The newest minute that rules may look at: final, and so are the minutes of the hour before it. A
-- row that stays open for longer does not stop the rules.
CREATE OR REPLACE FUNCTION mart.alert_frontier() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    WITH settled AS (
        SELECT a.window_end AS minute
        FROM processed.funnel_aggregates a, mart.state s
        WHERE a.rollup = '1m:all' AND a.final
              AND a.loaded_at <= now() - s.alerts_settle
        ORDER BY a.window_start DESC LIMIT 1
    )
    SELECT coalesce((SELECT min(a.window_start) FROM processed.funnel_aggregates a
                     WHERE a.rollup = '1m:all' AND a.window_start < settled.minute
                           AND a.window_start >= settled.minute - interval '1 hour'
                           AND NOT a.final), settled.minute)
    FROM settled
$$;

CREATE OR REPLACE FUNCTION mart.close_alert(
    id uuid, at timestamptz, value numeric, reason text) RETURNS void LANGUAGE sql AS $$
    UPDATE reporting.alerts
    SET closed_at = greatest(at, opened_at), closed_value = value, closed_by = reason,
        ended_at = now()
    WHERE alert_id = id;
    INSERT INTO processed.alert_outbox (alert_id, state) VALUES (id, 'closed');
$$;

-- A rule of freshness or quality may open twice at one time: its rule was changed in between.
CREATE OR REPLACE FUNCTION mart.new_alert_id(name text, at timestamptz) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT md5(name || '|' || extract(epoch FROM at)::text || '|' || count(*)::text)::uuid
    FROM reporting.alerts a WHERE a.rule = name AND a.opened_at = at
$$;

-- A new or changed rule begins with the next minute, or in an empty database with the first one.
CREATE OR REPLACE FUNCTION mart.begin_alert_rule() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    frontier timestamptz := mart.alert_frontier();
    at       timestamptz := (SELECT coalesce(frontier, c.now, now())
                             FROM (SELECT) AS one LEFT JOIN reporting.data_clock c ON true);
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'note' = to_jsonb(OLD) - 'note' THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM mart.close_alert(
            a.alert_id, CASE WHEN a.metric = 'freshness' THEN now() ELSE at END, NULL,
            CASE WHEN TG_OP = 'DELETE' THEN 'deleted' WHEN NEW.enabled THEN 'changed'
                       ELSE 'disabled' END)
        FROM reporting.alerts a WHERE a.rule = OLD.rule AND a.closed_at IS NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO mart.alert_states (rule, evaluated_to) VALUES (NEW.rule, frontier)
        ON CONFLICT (rule) DO UPDATE
        SET evaluated_to = excluded.evaluated_to, is_met = NULL, since = NULL, alert_id = NULL;
    END IF;
    RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER begin_alert_rule AFTER INSERT OR UPDATE OR DELETE
    ON reporting.alert_rules FOR EACH ROW EXECUTE FUNCTION mart.begin_alert_rule();

-- ---------------------------------------------------------------- evaluation

-- Sums over the span of the rule that ends at each minute after `starts`, up to `ends`. amount and
-- divisor: what the metric is made of; divisor is null if it is not a rate.
CREATE OR REPLACE FUNCTION mart.alert_sums(
    r reporting.alert_rules, starts timestamptz, ends timestamptz)
RETURNS TABLE (at timestamptz, amount numeric, divisor numeric, events numeric, purchases numeric)
LANGUAGE plpgsql STABLE AS $body$
DECLARE
    length  interval := make_interval(secs => extract(epoch FROM r.span));
    before  bigint := extract(epoch FROM r.span)::bigint / 60 - 1;
    counted text := CASE r.metric WHEN 'conversion' THEN 'purchase' ELSE r.subject END;
    base    text := CASE r.metric WHEN 'conversion' THEN 'view' ELSE (
        SELECT b.stage FROM reporting.stages s JOIN reporting.stages b ON b.step = s.step - 1
        WHERE s.stage = r.subject) END;
BEGIN
    RETURN QUERY
    WITH minute AS (
        SELECT start, a.revenue, a.purchases AS bought, a.views + a.carts + a.removes + a.checkouts
               + a.purchases AS n, jsonb_build_object('view', a.views, 'cart', a.carts,
               'remove_from_cart', a.removes, 'checkout', a.checkouts, 'purchase', a.purchases)
               AS by_type
        FROM generate_series(starts - length, ends - interval '1 minute', interval '1 minute')
             AS start
        LEFT JOIN processed.funnel_aggregates a
             ON a.rollup = '1m:all' AND a.group_value = 'all' AND a.window_start = start
    ), total AS (
        SELECT start + interval '1 minute' AS until,
               coalesce(sum(CASE r.metric WHEN 'revenue' THEN revenue WHEN 'traffic' THEN n
                                          ELSE (by_type->>counted)::numeric END) OVER span, 0),
               CASE WHEN r.metric IN ('conversion', 'stage')
                    THEN coalesce(sum((by_type->>base)::numeric) OVER span, 0) END,
               coalesce(sum(n) OVER span, 0), coalesce(sum(bought) OVER span, 0)
        FROM minute
        WINDOW span AS (ORDER BY start ROWS BETWEEN before PRECEDING AND CURRENT ROW)
    )
    SELECT t.* FROM total t WHERE until > starts;
END
$body$;

-- The values that a rule has not looked at yet. A point of freshness has the time of the wall
-- clock. Of a longer time than a week, the next refresh takes the next week.
CREATE OR REPLACE FUNCTION mart.alert_points(
    r reporting.alert_rules, evaluated_to timestamptz, frontier timestamptz)
RETURNS TABLE (at timestamptz, value numeric, value_before numeric, volume numeric)
LANGUAGE plpgsql STABLE AS $body$
DECLARE
    back   interval := CASE r.compared_with WHEN 'day before' THEN interval '24 hours'
                                            WHEN 'week before' THEN interval '168 hours' END;
    starts timestamptz := mart.alert_start(evaluated_to);
    ends   timestamptz := least(frontier, starts + interval '168 hours');
BEGIN
    IF r.metric = 'freshness' THEN
        RETURN QUERY SELECT now(), f.seconds_since_change, NULL::numeric, NULL::numeric
                     FROM reporting.freshness f WHERE f.layer = r.subject;
    ELSIF r.metric = 'quality' THEN
        RETURN QUERY SELECT c.now, mart.alert_quality(r), NULL::numeric, NULL::numeric
                     FROM reporting.data_clock c;
    ELSIF back IS NULL THEN
        RETURN QUERY SELECT s.at, CASE WHEN s.divisor IS NULL THEN s.amount
                                       ELSE s.amount / nullif(s.divisor, 0) END, NULL::numeric,
                            coalesce(s.divisor, CASE WHEN r.metric = 'revenue' THEN s.events END)
                     FROM mart.alert_sums(r, starts, ends) s;
    ELSE
        RETURN QUERY
        SELECT n.at, CASE WHEN n.divisor IS NULL THEN n.amount
                          ELSE n.amount / nullif(n.divisor, 0) END,
               CASE WHEN b.divisor IS NULL THEN b.amount
                    ELSE b.amount / nullif(b.divisor, 0) END,
               CASE r.metric WHEN 'revenue' THEN b.purchases WHEN 'traffic' THEN b.events
                    ELSE least(n.divisor, b.divisor) END
        FROM mart.alert_sums(r, starts, ends) n
        JOIN mart.alert_sums(r, starts - back, ends - back) b ON b.at = n.at - back;
    END IF;
END
$body$;

-- Where to go on. In an empty database the first minute. After 15 days without an event before
-- evaluated_to, all periods (192 hours) and times of hold (168 hours) of all rules are over, so
-- nothing opens or closes before the next event.
CREATE OR REPLACE FUNCTION mart.alert_start(evaluated_to timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN evaluated_to IS NULL
                     OR (next > evaluated_to AND NOT EXISTS (
                         SELECT FROM processed.funnel_aggregates a
                         WHERE a.rollup = '1m:all' AND a.window_start < evaluated_to
                               AND a.window_start >= evaluated_to - interval '360 hours'))
                THEN next ELSE evaluated_to END
    FROM (SELECT min(a.window_start) AS next FROM processed.funnel_aggregates a
          WHERE a.rollup = '1m:all'
                AND (evaluated_to IS NULL OR a.window_start >= evaluated_to)) AS n
$$;

-- The worst measure of a check; without a subject the number of breaches.
CREATE OR REPLACE FUNCTION mart.alert_quality(r reporting.alert_rules) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN r.subject IS NULL THEN (SELECT count(*) FROM reporting.data_quality_breaches)
                WHEN r.direction = 'below' THEN min(q.value) ELSE max(q.value) END
    FROM reporting.data_quality q WHERE q.check_name = r.subject
$$;

-- Null: unknown.
CREATE OR REPLACE FUNCTION mart.alert_is_met(
    r reporting.alert_rules, value numeric, limit_value numeric, volume numeric) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN volume < r.minimum_volume THEN NULL
                WHEN r.direction = 'below' THEN value < limit_value ELSE value > limit_value END
$$;

CREATE OR REPLACE FUNCTION mart.evaluate_alert_rule(
    r reporting.alert_rules, frontier timestamptz) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    s           mart.alert_states;
    p           record;
    limit_value numeric;
    is_met      boolean;
BEGIN
    SELECT * INTO s FROM mart.alert_states t WHERE t.rule = r.rule;
    FOR p IN SELECT * FROM mart.alert_points(r, s.evaluated_to, frontier) ORDER BY at LOOP
        limit_value := CASE r.compared_with WHEN 'fixed' THEN r.bound
                                            ELSE r.bound * p.value_before END;
        is_met := mart.alert_is_met(r, p.value, limit_value, p.volume);
        IF s.since IS NULL OR is_met IS DISTINCT FROM s.is_met THEN
            s.is_met := is_met;
            s.since := p.at;
        END IF;
        s.evaluated_to := p.at;
        IF is_met IS NULL OR is_met = (s.alert_id IS NOT NULL) OR p.at - s.since < r.hold THEN
            CONTINUE;
        ELSIF is_met THEN
            s.alert_id := mart.new_alert_id(r.rule, p.at);
            INSERT INTO reporting.alerts VALUES
                (s.alert_id, r.rule, r.metric, r.subject, r.compared_with, r.direction, r.bound,
                 s.since, p.at, p.value, p.value_before, limit_value, p.volume);
            INSERT INTO processed.alert_outbox (alert_id, state) VALUES (s.alert_id, 'opened');
        ELSE
            PERFORM mart.close_alert(s.alert_id, p.at, p.value, 'recovered');
            s.alert_id := NULL;
        END IF;
    END LOOP;
    UPDATE mart.alert_states t
    SET evaluated_to = s.evaluated_to, is_met = s.is_met, since = s.since, alert_id = s.alert_id
    WHERE t.rule = r.rule
          AND (t.evaluated_to, t.is_met, t.since, t.alert_id)
              IS DISTINCT FROM (s.evaluated_to, s.is_met, s.since, s.alert_id);
END
$body$;

-- Refresh: evaluates all rules.
CREATE OR REPLACE FUNCTION mart.evaluate_alerts() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    frontier timestamptz := mart.alert_frontier();
    r        reporting.alert_rules;
BEGIN
    FOR r IN SELECT * FROM reporting.alert_rules
             WHERE enabled AND (frontier IS NOT NULL OR metric IN ('freshness', 'quality'))
             ORDER BY rule LOOP
        PERFORM mart.evaluate_alert_rule(r, frontier);
    END LOOP;
END
$body$;

-- For the metrics of pg-loader, in the statement that has refreshed: volatile, so that it sees the
-- changes of the refresh.
CREATE OR REPLACE FUNCTION processed.open_alerts() RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(string_agg(rule || '=' || (alert_id IS NOT NULL)::int, ',' ORDER BY rule), '')
    FROM mart.alert_states
$$;
COMMENT ON FUNCTION processed.open_alerts() IS
    'Each rule and whether it has an open alert: rule=1,other=0.';
