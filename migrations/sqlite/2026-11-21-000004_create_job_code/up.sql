-- The twin of the MySQL migration of the same name.
CREATE TABLE job (
    job_id     INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind       TEXT      NOT NULL,
    lane       TEXT      NOT NULL,
    state      TEXT      NOT NULL,
    due        TIMESTAMP NULL,
    lease      TEXT      NULL,
    attempts   INTEGER   NOT NULL,
    payload    TEXT      NOT NULL,
    dedup_key  TEXT      NULL,
    user_id    BIGINT    NULL,
    last_error TEXT      NULL,
    created    TIMESTAMP NOT NULL,
    finished   TIMESTAMP NULL
);
CREATE UNIQUE INDEX job_dedup_key ON job (dedup_key);
CREATE INDEX job_lane_due ON job (lane, due);
CREATE INDEX job_state_job_id ON job (state, job_id);
CREATE INDEX job_user_id ON job (user_id);

CREATE TABLE code (
    code_id   INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
    user_id   BIGINT    NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
    purpose   TEXT      NOT NULL,
    target    TEXT      NOT NULL,
    nonce     TEXT      NOT NULL,
    code_hash TEXT      NOT NULL,
    tries     INTEGER   NOT NULL,
    created   TIMESTAMP NOT NULL,
    expires   TIMESTAMP NOT NULL,
    used      TIMESTAMP NULL
);
CREATE UNIQUE INDEX code_user_id_purpose ON code (user_id, purpose);
CREATE INDEX code_expires ON code (expires);
