-- A new salt of the pseudonyms. deploy/README.md, "A new salt of the pseudonyms", says what changes
-- for readers.
--
-- Views and functions compute pseudonyms from the ids when they are read, so they follow at once.
-- mart.dim_users is the only table that stores pseudonyms. Its rows and the salt change in one
-- transaction: no reader sees a pseudonym of the old salt next to one of the new salt.
--
-- Forgotten users stay forgotten: the numbers in the place of their ids come from another key.

-- new_salt null: a random one. The lock of the reports keeps refreshes out, which would add users
-- with the old salt.
CREATE OR REPLACE FUNCTION mart.change_salt(new_salt text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    users bigint;
BEGIN
    new_salt := coalesce(new_salt, encode(sha256(uuid_send(gen_random_uuid())
                                                 || uuid_send(gen_random_uuid())), 'hex'));
    IF length(new_salt) < 32 THEN
        RAISE EXCEPTION 'mart.change_salt: invalid new_salt of % characters: expected at least 32 '
            'random ones, or null for a random salt', length(new_salt)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(mart.lock_reporting());
    UPDATE mart.secret SET salt = new_salt WHERE salt <> new_salt;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'mart.change_salt: invalid new_salt: it is the present salt; expected '
            'another one' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE mart.dim_users SET user_key = mart.pseudonym('user', user_id::text);
    GET DIAGNOSTICS users = ROW_COUNT;
    RETURN users;
END
$body$;
COMMENT ON FUNCTION mart.change_salt(text) IS
    'Gives all users, sessions and events other pseudonyms. For the owner alone. Null: a random '
    'salt. Returns the number of users. Nobody can connect a pseudonym of before with one of after '
    'without the true ids.';
