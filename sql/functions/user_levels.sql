-- Users next to sessions in the funnel: how far each user came on each UTC day, by the user's best
-- session of the day. Users whose sessions have only views need no row in mart.user_levels: they
-- have reached the first stage if it is view, and none otherwise. A session of two users counts for
-- both of them.

CREATE OR REPLACE FUNCTION mart.rebuild_user_levels() RETURNS void LANGUAGE sql AS $$
    DELETE FROM mart.user_levels;
    INSERT INTO mart.user_levels
    SELECT d.user_id, d.event_date,
           max(coalesce(s.reached, s.stage, (c.stages[1] = 'view')::int))
    FROM mart.session_days d LEFT JOIN mart.session_steps s USING (session_id, event_date)
    CROSS JOIN mart.state c
    GROUP BY d.user_id, d.event_date HAVING count(s.session_id) > 0;
    DELETE FROM mart.user_level_days;
    INSERT INTO mart.user_level_days
    SELECT event_date, level, count(*) FROM mart.user_levels GROUP BY 1, 2;
$$;

-- The levels of these users on these days, from all of their sessions.
CREATE OR REPLACE FUNCTION mart.read_user_levels(users bigint[], user_days date[])
RETURNS TABLE (user_id bigint, event_date date, level smallint) LANGUAGE plpgsql STABLE AS $body$
BEGIN
    RETURN QUERY
    SELECT d.user_id, d.event_date,
           max(coalesce(s.reached, s.stage, (c.stages[1] = 'view')::int))::smallint
    FROM mart.state c, mart.session_days d
    LEFT JOIN LATERAL (SELECT t.reached, t.stage FROM mart.session_steps t
                       WHERE t.session_id = d.session_id AND t.event_date = d.event_date
                       OFFSET 0) AS s ON true
    WHERE d.event_date = ANY (user_days)
          AND (d.user_id, d.event_date) IN (SELECT * FROM unnest(users, user_days))
    GROUP BY d.user_id, d.event_date;
END
$body$;

-- Refresh: the users of sessions with steps that have new events. The level of such a user is the
-- greatest of the level before and of the levels that these sessions have now, with two exceptions:
--
--  - A session has lost a level, because an early step has moved another one out of its first 500.
--    This is rare, and all sessions of the day are read.
--  - The level is 0, and view is the first stage. Then a session with only views counts: a new one,
--    or one of before. The user had none of before if it had no event on this day, or if it had the
--    level 0.
CREATE OR REPLACE FUNCTION mart.merge_user_levels() RETURNS void LANGUAGE sql AS $$
    WITH reached AS MATERIALIZED (
        SELECT user_id, event_date, max(coalesce(reached, stage)) AS level,
               bool_or(coalesce(reached, stage) < reached_before) IS TRUE AS lowered
        FROM mart.touched_steps JOIN (
            SELECT session_id, event_date, user_id FROM mart.new_sessions
            UNION ALL
            SELECT session_id, event_date, user_id FROM mart.prior_sessions) AS member
            USING (session_id, event_date)
        GROUP BY user_id, event_date
    ), known AS MATERIALIZED (
        SELECT r.user_id, r.event_date, greatest(r.level, l.level) AS level, l.level AS before,
               r.lowered
        FROM reached r
        LEFT JOIN LATERAL (SELECT u.level FROM mart.user_levels u
                           WHERE u.user_id = r.user_id AND u.event_date = r.event_date
                           OFFSET 0) AS l ON true
    ), without_level AS MATERIALIZED (
        SELECT user_id, event_date, before FROM known WHERE level = 0 AND NOT lowered
        UNION
        SELECT user_id, event_date, level
        FROM (SELECT l.*
              FROM mart.new_sessions n JOIN mart.user_levels l USING (user_id, event_date)
              WHERE l.level = 0
                    AND l.event_date = ANY (ARRAY(SELECT DISTINCT event_date FROM mart.new_batches))
              OFFSET 0) AS l
        WHERE NOT EXISTS (SELECT FROM known k
                          WHERE k.user_id = l.user_id AND k.event_date = l.event_date)
    ), viewing AS (
        SELECT user_id, event_date
        FROM without_level JOIN mart.new_sessions n USING (user_id, event_date)
        WHERE NOT EXISTS (SELECT FROM mart.touched_steps t
                          WHERE t.session_id = n.session_id AND t.event_date = n.event_date)
        UNION
        SELECT user_id, event_date FROM without_level JOIN mart.new_users u USING (user_id)
        WHERE before IS NULL AND event_date = ANY (mart.days_of(u.days_before, u.first_seen))
    ), changed AS MATERIALIZED (
        SELECT user_id, event_date, level, before FROM known
        WHERE level > 0 AND level IS DISTINCT FROM before AND NOT lowered
        UNION ALL
        SELECT n.user_id, n.event_date, n.level, k.before
        FROM (SELECT array_agg(user_id) AS users, array_agg(event_date) AS days
              FROM known WHERE lowered HAVING count(*) > 0) AS l,
             LATERAL mart.read_user_levels(l.users, l.days) AS n
        JOIN known k USING (user_id, event_date) WHERE n.level IS DISTINCT FROM k.before
        UNION ALL
        SELECT user_id, event_date, n.level, before
        FROM (SELECT user_id, event_date, before, CASE
                         WHEN v.user_id IS NOT NULL AND c.stages[1] = 'view' THEN 1
                         ELSE 0 END::smallint AS level
              FROM mart.state c, without_level LEFT JOIN viewing v USING (user_id, event_date)) AS n
        WHERE n.level IS DISTINCT FROM before
    ), stored AS (
        INSERT INTO mart.user_levels SELECT user_id, event_date, level FROM changed
        ON CONFLICT (user_id, event_date) DO UPDATE SET level = excluded.level
    )
    INSERT INTO mart.user_level_days AS t
    SELECT event_date, level, sum(sign)
    FROM (SELECT event_date, level, 1 AS sign FROM changed
          UNION ALL
          SELECT event_date, before, -1 FROM changed WHERE before IS NOT NULL) AS change
    GROUP BY event_date, level HAVING sum(sign) <> 0
    ON CONFLICT (event_date, level) DO UPDATE SET users = t.users + excluded.users;
    DELETE FROM mart.user_level_days WHERE users = 0;
$$;

CREATE OR REPLACE FUNCTION reporting.funnel_by_user(from_day date, to_day date)
RETURNS TABLE (step smallint, stage text, users bigint, of_first numeric, of_step_before numeric,
               sessions bigint, sessions_of_first numeric, users_before bigint,
               of_first_before numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH list AS (
        SELECT stages, cardinality(stages) AS n, stages[1] = 'view' AS from_view,
               coalesce(nullif(array_position(stages, 'view'), 1), cardinality(stages)) AS counted
        FROM (SELECT coalesce(s.stages, '{view,cart,purchase}') AS stages
              FROM mart.state s) AS known
    ), level AS (
        SELECT event_date >= from_day AS is_now, d.level, d.users
        FROM mart.user_level_days d
        WHERE event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
        UNION ALL -- users with only views
        SELECT period_start >= from_day, 1, a.users
        FROM mart.active_users a, list
        WHERE grain = 'day' AND from_view
              AND period_start BETWEEN from_day - (to_day - from_day + 1) AND to_day
        UNION ALL
        SELECT event_date >= from_day, 1, -d.users
        FROM mart.user_level_days d, list
        WHERE from_view AND event_date BETWEEN from_day - (to_day - from_day + 1) AND to_day
    ), reached AS (
        SELECT p.is_now, place::int, l.stages[place] AS stage,
               CASE WHEN place <= l.counted
                    THEN coalesce((SELECT sum(v.users) FROM level v
                                   WHERE v.is_now = p.is_now AND v.level >= place), 0) END AS users,
               CASE WHEN place > l.counted THEN NULL
                    WHEN place = 1 AND from_view
                    THEN coalesce((SELECT sum(view_sessions) FROM mart.day_totals
                                   WHERE event_date BETWEEN from_day AND to_day), 0)
                    ELSE coalesce((SELECT sum(d.sessions) FROM mart.stage_days d
                                   WHERE d.stage = place
                                         AND event_date BETWEEN from_day AND to_day), 0)
               END AS sessions
        FROM list l, (VALUES (true), (false)) AS p(is_now)
        CROSS JOIN LATERAL generate_series(1, (SELECT n FROM list)) AS place
    ), rate AS (
        SELECT *, round(r.users / nullif(first_value(r.users) OVER own, 0), 4) AS of_first,
               round(r.users / nullif(coalesce(lag(r.users) OVER own, r.users), 0), 4) AS of_before,
               round(r.sessions / nullif(first_value(r.sessions) OVER own, 0), 4) AS of_sessions
        FROM reached r WINDOW own AS (PARTITION BY is_now ORDER BY place)
    )
    SELECT n.place::smallint,
           n.stage || coalesce(' after ' || lag(n.stage) OVER (ORDER BY n.place), ''),
           n.users::bigint, n.of_first, n.of_before, n.sessions::bigint, n.of_sessions,
           b.users::bigint, b.of_first
    FROM rate n JOIN rate b USING (place) WHERE n.is_now AND NOT b.is_now
    ORDER BY n.place
$$;
COMMENT ON FUNCTION reporting.funnel_by_user(date, date) IS
    'Funnel by user: users with a session that reached the stage (reporting.stages) in order, '
    'within a UTC day; next to them the sessions of funnel_by_session. A user or session of two '
    'days counts in both, so the rows of several days add up. For the users of a period, each '
    'counted once and over all of their sessions: reporting.funnel(). Null: not counted, because '
    'view is in the middle of the stages.';
