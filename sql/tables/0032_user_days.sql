-- The days of a user are in its row of mart.dim_users, which a refresh changes anyway. Before, an
-- index of mart.session_days on user and day gave them. Users come in no order, so each new session
-- changed another page of that index, which took 4.5 us. The index that is left has the sessions
-- with more than views only, about a twelfth of them.

ALTER TABLE mart.dim_users ADD days date[];
ALTER TABLE mart.dim_users ALTER days SET STATISTICS 0;
COMMENT ON COLUMN mart.dim_users.days IS
    'UTC days on which the user has events, in order. Null: only the day of first_seen.';
UPDATE mart.dim_users u SET days = d.days
FROM (SELECT user_id, array_agg(DISTINCT event_date ORDER BY event_date) AS days
      FROM mart.session_days GROUP BY user_id HAVING min(event_date) < max(event_date)) AS d
WHERE d.user_id = u.user_id;

DROP INDEX mart.session_days_user;
CREATE INDEX session_days_cart ON mart.session_days (user_id, event_date)
    WHERE carts + checkouts + purchases > 0;

-- Scratch of a running refresh.
ALTER TABLE mart.new_users ADD days_before date[], ADD days date[];
COMMENT ON TABLE mart.new_users IS
    'Scratch of reporting.refresh(): what new events add to users, and the users before. place: '
    'where the row of mart.dim_users is; null: the user is new. days: those of the new events, in '
    'order; null: first_day and last_day are all.';
