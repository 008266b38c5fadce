-- Purchases per 100 views of each span, beside the same minutes of the day before.
WITH span AS (
    SELECT position, name, reporting.period_start(name) AS starts, now
    FROM reporting.data_clock
    CROSS JOIN (VALUES (1, 'last 15 minutes'), (2, 'last hour'), (3, 'last 3 hours'), (4, 'today')) AS s (position, name)
), total AS (
    SELECT position, name,
           coalesce(sum(views) FILTER (WHERE minute >= starts), 0) AS views,
           coalesce(sum(purchases) FILTER (WHERE minute >= starts), 0) AS purchases,
           coalesce(sum(views) FILTER (WHERE minute < now - interval '1 day'), 0) AS views_before,
           coalesce(sum(purchases) FILTER (WHERE minute < now - interval '1 day'), 0) AS purchases_before
    FROM span
    LEFT JOIN reporting.funnel_by_minute_category
           ON minute >= starts - interval '1 day' AND (minute >= starts OR minute < now - interval '1 day')
          [[AND category_level1 = {{category}}]]
    GROUP BY position, name
)
SELECT name AS span, views::bigint, purchases::bigint,
       round(100.0 * purchases / nullif(views, 0), 2) AS per_100_views,
       round(100.0 * purchases_before / nullif(views_before, 0), 2) AS day_before,
       round(100.0 * purchases / nullif(views, 0), 2) - round(100.0 * purchases_before / nullif(views_before, 0), 2) AS difference
FROM total
ORDER BY position
