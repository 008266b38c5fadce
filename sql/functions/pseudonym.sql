CREATE OR REPLACE FUNCTION mart.pseudonym(kind text, id text) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT left(encode(sha256(convert_to((SELECT salt FROM mart.secret) || kind || ':' || id,
                                        'UTF8')), 'hex'), 20) $$;
COMMENT ON FUNCTION mart.pseudonym(text, text) IS
    'Stable pseudonym of a user (kind user) or session (kind session). Not for analysts: a caller '
    'can try ids.';
