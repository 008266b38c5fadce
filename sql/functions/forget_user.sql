-- reporting.forget_user() puts a pseudonym in the place of a user's id. sql/README.md, "Forgetting
-- a user", says what changes and what stays.
--
-- It is a procedure of two transactions, so that loaders wait for milliseconds only:
--
--   1. begin_forgetting waits until running loads have ended, and notes the user. Every load that
--      begins later sees the note, because it asks after its lock on loader_offsets.
--   2. finish_forgetting changes the rows that were stored before. Only it needs time.
--
-- The session holds the lock of the reports over both transactions. So no refresh runs between
-- them, which would count new events of the user under the pseudonym while older ones still have
-- the id. Tables whose key has the user or the session could then have two rows of one key, and
-- the reports would have to be built again. This still happens if the second transaction failed,
-- the user has come again since, and the call is repeated.
--
-- A procedure that ends a transaction may have neither SECURITY DEFINER nor settings. So these two
-- functions have the rights of the owner, and the procedure names them with their schema.
--
-- Rejected: one transaction that reads all tables and then keeps loaders out while it notes the
-- user. Rows that were loaded in the meantime would have to be found without an index.

-- ---------------------------------------------------------------- the first transaction

-- Returns the request: an earlier one if it was not completed.
CREATE OR REPLACE FUNCTION mart.note_forgotten(id bigint, topics_keep interval) RETURNS bigint
LANGUAGE plpgsql AS $body$
DECLARE
    hash   constant bytea := mart.user_hash(id::text);
    known  bigint;
    opened bigint;
BEGIN
    LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;
    SELECT pseudonym INTO known FROM processed.forgotten_users WHERE user_hash = hash;
    IF known IS NULL THEN
        INSERT INTO processed.forgotten_users (user_hash) VALUES (hash)
        RETURNING pseudonym INTO known;
    END IF;
    SELECT request INTO opened FROM reporting.forget_requests
    WHERE pseudonym = known AND done_at IS NULL;
    IF opened IS NULL THEN
        INSERT INTO reporting.forget_requests (pseudonym, registered_at, kafka_until)
        VALUES (known, clock_timestamp(), clock_timestamp() + topics_keep)
        RETURNING request INTO opened;
    END IF;
    RETURN opened;
END
$body$;

-- The lock stays after an error, unless the session gives it back.
CREATE OR REPLACE FUNCTION mart.unlock_reporting() RETURNS boolean LANGUAGE sql
SET client_min_messages = error AS $$ SELECT pg_advisory_unlock(mart.lock_reporting()) $$;
COMMENT ON FUNCTION mart.unlock_reporting() IS
    'Gives back the lock of the reports that begin_forgetting() took. False: the session does not '
    'have it.';

CREATE OR REPLACE FUNCTION reporting.begin_forgetting(id bigint, topics_keep interval)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF id IS NULL OR id < 1 THEN
        RAISE EXCEPTION 'reporting.forget_user: invalid id %: expected a user id, 1 or more',
            coalesce(id::text, 'null') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF topics_keep IS NULL OR topics_keep < interval '0' THEN
        RAISE EXCEPTION 'reporting.forget_user: invalid topics_keep %: expected how long topics '
            'keep a record, such as 97 days', coalesce(topics_keep::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_lock(mart.lock_reporting());
    BEGIN
        RETURN mart.note_forgotten(id, topics_keep);
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        PERFORM mart.unlock_reporting();
        RAISE;
    END;
END
$body$;
COMMENT ON FUNCTION reporting.begin_forgetting(bigint, interval) IS
    'First part of reporting.forget_user(): from the end of the transaction on, no load stores '
    'this user id. Returns the request; that of an earlier call if that one was not completed. The '
    'session keeps the lock of the reports until finish_forgetting().';

-- ---------------------------------------------------------------- the second transaction

CREATE OR REPLACE FUNCTION reporting.finish_forgetting(id bigint, the_request bigint)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC' SET jit = off AS $body$
DECLARE
    alias bigint := (SELECT f.pseudonym FROM processed.forgotten_users f
                     JOIN reporting.forget_requests r USING (pseudonym)
                     WHERE f.user_hash = mart.user_hash(id::text) AND r.request = the_request);
    changed jsonb;
BEGIN
    IF alias IS NULL THEN
        RAISE EXCEPTION 'reporting.finish_forgetting: request % is not of user %', the_request, id
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(mart.lock_reporting());
    changed := mart.forget_rows(id, alias);
    UPDATE reporting.forget_requests r SET done_at = clock_timestamp(), rows_changed = changed
    WHERE r.request = the_request;
    PERFORM mart.unlock_reporting(); -- that of the transaction stays until its end
    RETURN changed;
EXCEPTION WHEN query_canceled OR OTHERS THEN
    PERFORM mart.unlock_reporting();
    RAISE;
END
$body$;
COMMENT ON FUNCTION reporting.finish_forgetting(bigint, bigint) IS
    'Second part of reporting.forget_user(): changes stored rows. Returns how many, by table.';

CREATE OR REPLACE FUNCTION mart.forget_rows(id bigint, alias bigint) RETURNS jsonb
LANGUAGE plpgsql AS $body$
DECLARE
    changed jsonb;
    rebuild boolean;
BEGIN
    rebuild := EXISTS (SELECT FROM mart.dim_users WHERE user_id = alias)
               AND EXISTS (SELECT FROM mart.dim_users WHERE user_id = id);
    changed := mart.forget_in_raw(id, alias) || mart.forget_in_processed(id, alias)
               || mart.forget_in_mart(id, alias, rebuild);
    -- Rows of both: an earlier call has failed after its first part, or somebody has stored the id
    -- by hand.
    IF rebuild THEN
        PERFORM reporting.rebuild();
    END IF;
    SELECT coalesce(jsonb_object_agg(key, value), '{}') INTO changed
    FROM jsonb_each(changed) WHERE value <> '0';
    RETURN changed;
END
$body$;

CREATE OR REPLACE PROCEDURE reporting.forget_user(
    id bigint, topics_keep interval DEFAULT '97 days',
    INOUT request bigint DEFAULT NULL, INOUT rows_changed jsonb DEFAULT NULL)
LANGUAGE plpgsql AS $body$
BEGIN
    request := reporting.begin_forgetting(id, topics_keep);
    COMMIT;
    rows_changed := reporting.finish_forgetting(id, request);
END
$body$;
COMMENT ON PROCEDURE reporting.forget_user(bigint, interval, bigint, jsonb) IS
    'Puts a pseudonym in the place of a user id, in all that is stored and in all that is loaded '
    'later. Deletes no row. Not inside a transaction block. topics_keep: retention.ms plus '
    'segment.ms of the topics. Returns the request (reporting.forget_requests) and the number of '
    'changed rows by table. If it fails, or events were stored without pg-loader, repeat it.';

-- ---------------------------------------------------------------- raw

-- The session of an event without one.
CREATE OR REPLACE FUNCTION mart.own_session(id bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT processed.session_id('user:' || id) $$;

-- A statement for each day of the user, so that it locks only this day.
CREATE OR REPLACE FUNCTION mart.forget_in_raw(id bigint, alias bigint) RETURNS jsonb
    LANGUAGE plpgsql AS $body$
DECLARE
    day    date;
    events bigint := 0;
    late   bigint;
    dead   bigint;
    found  bigint;
BEGIN
    FOR day IN
        SELECT event_date FROM mart.event_days
        WHERE event_date IN (SELECT unnest(mart.days_of(u.days, u.first_seen))
                             FROM mart.dim_users u WHERE u.user_id = id)
              OR event_date IN (SELECT b.event_date FROM processed.load_batches b
                                WHERE id = ANY (b.session_user_id))
        ORDER BY 1
    LOOP
        EXECUTE format($sql$
            UPDATE raw.event_rows
            SET user_id = %2$s,
                session_id = CASE session_form WHEN 'n' THEN %3$L ELSE session_id END
            WHERE event_date = %4$L AND user_id = %1$s
        $sql$, id, alias, mart.own_session(alias), day);
        GET DIAGNOSTICS found = ROW_COUNT;
        events := events + found;
    END LOOP;
    UPDATE raw.late_events SET user_id = alias WHERE user_id = id;
    GET DIAGNOSTICS late = ROW_COUNT;
    UPDATE raw.dead_letters d SET key = NULL, value = NULL, headers = NULL, detail = NULL
    WHERE mart.dead_letter_has(d, id::text, raw.avro_long(id));
    GET DIAGNOSTICS dead = ROW_COUNT;
    RETURN jsonb_build_object('raw.event_rows', events, 'raw.late_events', late,
                              'raw.dead_letters', dead);
END
$body$;

-- Most dead letters do not have the digits at all, which position() finds out much faster.
CREATE OR REPLACE FUNCTION mart.dead_letter_has(d raw.dead_letters, digits text, as_avro bytea)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN position(digits::bytea IN coalesce(d.key, '') || '\x00'
                              || coalesce(d.value, '') || '\x00'
                              || convert_to(coalesce(d.detail, ''), 'UTF8')) > 0
                THEN digits = ANY (raw.user_ids_of(d.key, d.value, d.detail)) ELSE false END
           OR (d.stage = 'loader' AND coalesce(position(as_avro IN d.value) > 0, false))
$$;

CREATE OR REPLACE FUNCTION raw.avro_long(number bigint) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    rest  numeric := 2 * number::numeric;
    bytes bytea := '';
BEGIN
    IF number < 0 THEN
        rest := -rest - 1;
    END IF;
    LOOP
        bytes := bytes || set_byte('\x00', 0, (mod(rest, 128) + CASE WHEN rest < 128 THEN 0
                                                                     ELSE 128 END)::int);
        EXIT WHEN rest < 128;
        rest := div(rest, 128);
    END LOOP;
    RETURN bytes;
END
$body$;
COMMENT ON FUNCTION raw.avro_long(bigint) IS
    'The bytes of a long in Avro: zigzag, then seven bits in each byte, the lowest first.';

-- ---------------------------------------------------------------- processed

-- Loaders may store visits of the user at the same time, under the pseudonym. If such a visit has
-- been removed or changed, the loader has also deleted the row with the id (pg-loader/targets.c).
--
-- Only a refresh deletes rows of load_batches, and its lock is ours.
CREATE OR REPLACE FUNCTION mart.forget_in_processed(id bigint, alias bigint) RETURNS jsonb
    LANGUAGE plpgsql AS $body$
DECLARE
    own    constant uuid := mart.own_session(id);
    later  constant uuid := mart.own_session(alias);
    visits bigint;
    own_visits bigint;
    sums   bigint;
BEGIN
    -- Stored by hand after the user was forgotten, and stored under the pseudonym too.
    DELETE FROM processed.visit_rows v USING processed.visit_rows n
    WHERE v.session_id = own AND v.session_form = 't' AND v.session_text = 'user:' || id
          AND n.visit_start = v.visit_start AND n.session_id = later AND n.session_form = 't'
          AND n.session_text = 'user:' || alias;
    UPDATE processed.visit_rows
    SET user_id = alias, session_id = later, session_text = 'user:' || alias
    WHERE session_id = own AND session_form = 't' AND session_text = 'user:' || id;
    GET DIAGNOSTICS own_visits = ROW_COUNT;
    UPDATE processed.visit_rows SET user_id = alias WHERE user_id = id;
    GET DIAGNOSTICS visits = ROW_COUNT;
    UPDATE processed.load_batches
    SET session_user_id = array_replace(session_user_id, id, alias),
        session_id = array_replace(session_id, own, later),
        step_session_id = array_replace(step_session_id, own, later)
    WHERE id = ANY (session_user_id);
    GET DIAGNOSTICS sums = ROW_COUNT;
    RETURN jsonb_build_object('processed.visit_rows', own_visits + visits,
                              'processed.load_batches', sums);
END
$body$;

-- ---------------------------------------------------------------- mart

-- Tables with users or sessions. All others have sums only. to_rebuild: rows of days that
-- raw.events has are deleted, and reporting.rebuild() makes them again. mart.session_days has no
-- index on users: it is read twice, or three times.
CREATE OR REPLACE FUNCTION mart.forget_in_mart(id bigint, alias bigint, to_rebuild boolean)
RETURNS jsonb LANGUAGE plpgsql AS $body$
DECLARE
    own     constant uuid := mart.own_session(id);
    later   constant uuid := mart.own_session(alias);
    changed jsonb := '{}';
    found   bigint;
    one     record;
BEGIN
    IF to_rebuild THEN
        DELETE FROM mart.session_days d USING mart.state s
        WHERE user_id = id AND event_date >= s.raw_from;
        DELETE FROM mart.session_steps t USING mart.state s
        WHERE session_id = own AND event_date >= s.raw_from;
        DELETE FROM mart.long_orders WHERE session_id = own;
        DELETE FROM mart.long_sessions WHERE session_id = own;
        DELETE FROM mart.buyer_days WHERE user_id = id;
        DELETE FROM mart.buyers WHERE user_id = id;
        DELETE FROM mart.user_levels WHERE user_id = id;
        DELETE FROM mart.dim_users WHERE user_id = id;
    END IF;
    -- Days before raw_from: rows of the user and of the pseudonym become one.
    WITH gone AS (
        DELETE FROM mart.session_days o USING mart.session_days t
        WHERE o.user_id = id AND t.user_id = alias AND t.event_date = o.event_date
              AND t.session_id = CASE o.session_id WHEN own THEN later ELSE o.session_id END
        RETURNING o.*, t.ctid AS place
    )
    UPDATE mart.session_days t
    SET views = t.views + g.views, carts = t.carts + g.carts, removes = t.removes + g.removes,
        checkouts = t.checkouts + g.checkouts, purchases = t.purchases + g.purchases,
        revenue = t.revenue + g.revenue,
        first_time = least(t.first_time, g.first_time),
        last_time = greatest(t.last_time, g.last_time),
        first_view = least(t.first_view, g.first_view),
        last_view = greatest(t.last_view, g.last_view),
        last_purchase = greatest(t.last_purchase, g.last_purchase)
    FROM gone g WHERE t.ctid = g.place;
    UPDATE mart.dim_users SET user_id = alias, user_key = mart.pseudonym('user', alias::text)
    WHERE user_id = id;
    GET DIAGNOSTICS found = ROW_COUNT;
    changed := jsonb_build_object('mart.dim_users', found);
    FOR one IN SELECT * FROM (VALUES
        ('mart.session_days', 'user_id', id::text, alias::text),
        ('mart.session_days', 'session_id', own::text, later::text),
        ('mart.session_steps', 'session_id', own::text, later::text),
        ('mart.long_orders', 'session_id', own::text, later::text),
        ('mart.long_sessions', 'session_id', own::text, later::text),
        ('mart.buyer_days', 'user_id', id::text, alias::text),
        ('mart.buyers', 'user_id', id::text, alias::text),
        ('mart.user_levels', 'user_id', id::text, alias::text)) AS t(name, col, was, now)
    LOOP
        EXECUTE format('UPDATE %s SET %2$I = %4$L WHERE %2$I = %3$L', one.name, one.col, one.was,
                       one.now);
        GET DIAGNOSTICS found = ROW_COUNT;
        -- Rows of a session user:<id> are rows of the user, and were counted as these.
        changed := jsonb_build_object(one.name, found) || changed;
    END LOOP;
    RETURN changed;
END
$body$;
