-- Users that reporting.forget_user() has forgotten (functions/forget_user.sql), and its requests.
--
-- A loader begins each transaction with a lock on loader_offsets. The same lock here avoids
-- deadlocks.
LOCK TABLE processed.loader_offsets IN EXCLUSIVE MODE;

-- A key of its own: if somebody changes the salt of the pseudonyms, forgotten users stay forgotten.
ALTER TABLE mart.secret
    ADD forget_key text NOT NULL
        DEFAULT encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex');
ALTER TABLE mart.secret ALTER forget_key DROP DEFAULT;
COMMENT ON COLUMN mart.secret.forget_key IS
    'Key of the hashes in processed.forgotten_users. If it is lost, loaders do not recognise '
    'forgotten users.';

CREATE TABLE processed.forgotten_users (
    user_hash bytea  NOT NULL PRIMARY KEY,
    pseudonym bigint NOT NULL UNIQUE
              GENERATED ALWAYS AS IDENTITY (START WITH -1 INCREMENT BY -1) CHECK (pseudonym < 0)
);
COMMENT ON TABLE processed.forgotten_users IS
    'Users that reporting.forget_user() has forgotten. pg-loader stores the pseudonym in the place '
    'of the user id.';
COMMENT ON COLUMN processed.forgotten_users.user_hash IS
    'SHA-256 of a secret key (mart.secret) and the user id.';
COMMENT ON COLUMN processed.forgotten_users.pseudonym IS
    'Negative, so it is never a user id of a source.';

CREATE TABLE reporting.forget_requests (
    request       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pseudonym     bigint      NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    done_at       timestamptz,
    rows_changed  jsonb,
    kafka_until   timestamptz NOT NULL
);
COMMENT ON TABLE reporting.forget_requests IS
    'Calls of reporting.forget_user(), without the user id.';
COMMENT ON COLUMN reporting.forget_requests.pseudonym IS
    'user_id of the user in raw, processed and mart. The same for each request of a user.';
COMMENT ON COLUMN reporting.forget_requests.registered_at IS
    'From here on, nothing that is loaded has the user id.';
COMMENT ON COLUMN reporting.forget_requests.done_at IS
    'When stored rows had the pseudonym. Null: not yet, or the call has failed; repeat the call.';
COMMENT ON COLUMN reporting.forget_requests.rows_changed IS 'By table; {}: the user had no rows.';
COMMENT ON COLUMN reporting.forget_requests.kafka_until IS
    'When retention has removed the records that topics had at registered_at. Not of the topic of '
    'visits, which is compacted.';
