CREATE OR REPLACE FUNCTION mart.pseudonym(kind text, id text) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || kind || ':' || id,
                                        'UTF8')), 'hex'), 20) $$;
COMMENT ON FUNCTION mart.pseudonym(text, text) IS
    'Stable pseudonym of a user (kind user) or session (kind session). Not for analysts: a caller '
    'can try ids.';

-- Views and functions of reporting call it once per query: (SELECT mart.shows_true_ids()).
--
-- The role of the session decides, and not current_user, which is the owner in functions with
-- SECURITY DEFINER. So views and functions show the same keys. A superuser has the rights of all
-- roles, but sees true ids only after SET ROLE funnel_unmasked. The function has a search_path of
-- its own, so that no reader can replace what it calls.
CREATE OR REPLACE FUNCTION mart.shows_true_ids() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pg_roles reader, pg_roles unmasked
        WHERE unmasked.rolname = 'funnel_unmasked'
              AND reader.rolname = coalesce(nullif(current_setting('role'), 'none'), session_user)
              AND NOT reader.rolsuper AND pg_has_role(reader.oid, unmasked.oid, 'USAGE'))
$$;
COMMENT ON FUNCTION mart.shows_true_ids() IS
    'Whether keys in reporting are true ids: for members of funnel_unmasked. All others see '
    'pseudonyms.';

-- Not for views: PostgreSQL would not ask for the role only once per query.
CREATE OR REPLACE FUNCTION mart.key_of(kind text, id text, is_true boolean) RETURNS text
LANGUAGE sql STABLE AS $$ SELECT CASE WHEN is_true THEN id ELSE mart.pseudonym(kind, id) END $$;
COMMENT ON FUNCTION mart.key_of(text, text, boolean) IS
    'A user or session as a reader sees it. is_true: what mart.shows_true_ids() returns.';
