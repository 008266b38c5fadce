-- Who is forgotten, for everything that stores rows. sql/README.md, "Forgetting a user", has the
-- rules.

CREATE OR REPLACE FUNCTION mart.user_hash(user_id text) RETURNS bytea LANGUAGE sql STABLE AS
$$ SELECT sha256(convert_to((SELECT forget_key FROM mart.secret) || ':' || user_id, 'UTF8')) $$;

CREATE OR REPLACE FUNCTION processed.somebody_forgotten() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ SELECT EXISTS (SELECT FROM processed.forgotten_users) $$;
COMMENT ON FUNCTION processed.somebody_forgotten() IS
    'Whether any user is forgotten. If not, a loader has nothing else to ask. To see every user '
    'that is forgotten before the load ends, first lock processed.loader_offsets in ROW SHARE mode '
    'or a row of it.';

-- Numbers of requests are given out under a lock, so no lower one is committed later. Users that
-- were restored without their requests count as request 0.
CREATE OR REPLACE FUNCTION processed.newest_forget_request() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT max(request) FROM reporting.forget_requests), 0)
    WHERE EXISTS (SELECT FROM processed.forgotten_users)
$$;
COMMENT ON FUNCTION processed.newest_forget_request() IS
    'The newest request of reporting.forget_user(); null: nobody is forgotten. Users of this '
    'request and of all before are in processed.forgotten().';

-- Ids are texts, as they may come from session names and bytes. The hash is in line for speed.
CREATE OR REPLACE FUNCTION processed.forgotten(ids text[])
RETURNS TABLE (user_id text, pseudonym bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.id, f.pseudonym
    FROM (SELECT DISTINCT unnest(ids)) AS w(id)
    JOIN processed.forgotten_users f
         ON f.user_hash = sha256(convert_to((SELECT forget_key FROM mart.secret) || ':' || w.id,
                                            'UTF8'))
$$;
COMMENT ON FUNCTION processed.forgotten(text[]) IS
    'Of these user ids, those that are forgotten, with their pseudonyms.';

-- encode(..., 'escape') writes bytes that are not ASCII as \ooo, and a backslash as \\. Both become
-- a question mark, so that their digits do not count.
CREATE OR REPLACE FUNCTION raw.user_ids_in(bytes bytea) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    content   text := regexp_replace(encode(bytes, 'escape'), '\\(\\|[0-7]{3})', '?', 'g');
    named     constant text := 'user(?:_id)?["?'']*\s*[:=]\s*["?'']*\s*\+?0*([1-9][0-9]{0,18})'
                               '(?![0-9])';
    any_long  constant text := '(?<![0-9])0*([1-9][0-9]{5,18})(?![0-9])';
    any_short constant text := '(?<![0-9])0*([1-9][0-9]{0,4})(?![0-9])';
BEGIN
    RETURN ARRAY(
        SELECT hit[1] FROM regexp_matches(content, named, 'gi') AS hit
        UNION SELECT hit[1] FROM regexp_matches(content, any_long, 'g') AS hit
        UNION SELECT hit[1] FROM regexp_matches(content, any_short, 'g') AS hit
              WHERE content !~* 'user_id');
END
$body$;

CREATE OR REPLACE FUNCTION raw.user_ids_of(key bytea, value bytea, detail text) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_remove(array_append(
               raw.user_ids_in(value) || raw.user_ids_in(convert_to(detail, 'UTF8')),
               substring(encode(key, 'escape') FROM '^user:0*([1-9][0-9]{0,18})$')), NULL)
$$;
COMMENT ON FUNCTION raw.user_ids_of(bytea, bytea, text) IS
    'Numbers in a dead letter that may be user ids. Of its value and detail: those after user_id '
    'or user:, those with six and more digits, and all if there is no user_id. Of its key: that '
    'after user:, as other keys are sessions.';

-- The lock and the question are two statements, so the question sees what was committed before the
-- lock was granted.
CREATE OR REPLACE FUNCTION processed.await_forgetting() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    LOCK TABLE processed.loader_offsets IN ROW SHARE MODE;
    RETURN processed.somebody_forgotten();
END
$body$;
COMMENT ON FUNCTION processed.await_forgetting() IS
    'Waits while reporting.forget_user() registers a user, and lets no other one be registered '
    'until the transaction ends. Returns whether any user is forgotten.';

CREATE OR REPLACE FUNCTION raw.forget_in_events(events raw.events[]) RETURNS raw.events[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF NOT processed.await_forgetting() THEN
        RETURN events;
    END IF;
    RETURN (
        SELECT array_agg(ROW(e.event_id, e.event_time, e.event_date, e.event_type, e.product_id,
                             e.category_id, e.category_code, e.brand, e.price,
                             coalesce(f.pseudonym, e.user_id), e.user_session, e.source_file,
                             e.source_row, e.raw_partition, e.raw_offset, e.raw_time,
                             e.loaded_at)::raw.events ORDER BY e.place)
        FROM unnest(events) WITH ORDINALITY AS e(
            event_id, event_time, event_date, event_type, product_id, category_id, category_code,
            brand, price, user_id, user_session, source_file, source_row, raw_partition,
            raw_offset, raw_time, loaded_at, place)
        LEFT JOIN processed.forgotten(ARRAY(SELECT user_id::text FROM unnest(events))) AS f
             ON f.user_id = e.user_id::text);
END
$body$;
COMMENT ON FUNCTION raw.forget_in_events(raw.events[]) IS
    'The events, with pseudonyms of forgotten users.';

CREATE OR REPLACE FUNCTION processed.forget_in_visits(visits processed.session_funnels[])
RETURNS processed.session_funnels[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF NOT processed.await_forgetting() THEN
        RETURN visits;
    END IF;
    RETURN (
        SELECT array_agg(CASE WHEN f.pseudonym IS NULL THEN v.visit ELSE
                   jsonb_populate_record(v.visit, jsonb_build_object(
                       'user_id', f.pseudonym,
                       'user_session', CASE WHEN (v.visit).user_session = 'user:' || f.user_id
                                            THEN 'user:' || f.pseudonym
                                            ELSE (v.visit).user_session END)) END
               ORDER BY v.place)
        FROM (SELECT u.visit, u.place
              FROM (SELECT visits[n] AS visit, n AS place
                    FROM generate_subscripts(visits, 1) AS n) AS u) AS v
        LEFT JOIN processed.forgotten(ARRAY(SELECT user_id::text FROM unnest(visits))) AS f
             ON f.user_id = (v.visit).user_id::text);
END
$body$;
COMMENT ON FUNCTION processed.forget_in_visits(processed.session_funnels[]) IS
    'The visits, with pseudonyms of forgotten users.';
