CREATE OR REPLACE VIEW reporting.user_segments AS
SELECT segment, users, round(users / nullif(sum(users) OVER (), 0), 4) AS share, sessions, orders,
       spend::numeric AS spend
FROM mart.segment_totals;
COMMENT ON VIEW reporting.user_segments IS
    'Users by what they have done so far; segments as in dim_users.segment.';
