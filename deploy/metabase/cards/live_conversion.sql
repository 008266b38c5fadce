-- Purchases per 100 views of each span, and of the same minutes of the day before.
WITH span AS (
    SELECT position, name, reporting.period_start(name) AS starts, now
    FROM reporting.data_clock
    CROSS JOIN (VALUES (1, 'last 15 minutes'), (2, 'last hour'), (3, 'last 3 hours'), (4, 'today')) AS s (position, name)
)
SELECT name AS span, n.views::bigint, n.purchases::bigint,
       round(100.0 * n.purchases / nullif(n.views, 0), 2) AS per_100_views,
       round(100.0 * b.purchases / nullif(b.views, 0), 2) AS day_before,
       round(100.0 * n.purchases / nullif(n.views, 0), 2) - round(100.0 * b.purchases / nullif(b.views, 0), 2) AS difference
FROM span
CROSS JOIN LATERAL (
    SELECT coalesce(sum(views), 0) AS views, coalesce(sum(purchases), 0) AS purchases
    FROM reporting.funnel_by_minute_category
    WHERE minute >= starts [[AND category_level1 = {{category}}]]
) AS n
CROSS JOIN LATERAL (
    SELECT coalesce(sum(views), 0) AS views, coalesce(sum(purchases), 0) AS purchases
    FROM reporting.funnel_by_minute_category
    WHERE minute >= starts - interval '1 day' AND minute < now - interval '1 day' [[AND category_level1 = {{category}}]]
) AS b
ORDER BY position
