CREATE OR REPLACE FUNCTION reporting.change(now numeric, before numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT round((now - before) / nullif(before, 0), 4) $$;
COMMENT ON FUNCTION reporting.change(numeric, numeric) IS
    'Relative change: 0.1 is ten per cent more than before. Null if before is 0 or null.';
