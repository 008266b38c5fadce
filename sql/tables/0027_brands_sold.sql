-- Best-selling brands of a category. Most rows of mart.category_brand_days have no purchase: of a
-- month of 42 million events, 212,000 of 1.26 million have one. The query needs 0.09 s of CPU with
-- this index, and 1.7 s through the primary key.
CREATE INDEX category_brand_days_sold ON mart.category_brand_days (event_date)
    INCLUDE (category, brand, purchases, revenue) WHERE purchases > 0;
