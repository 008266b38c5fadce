SELECT segment, users, round(100 * share, 1) AS share_percent, sessions, orders, spend
FROM reporting.user_segments
ORDER BY users DESC, segment
