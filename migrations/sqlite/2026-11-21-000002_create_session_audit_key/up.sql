-- The twin of the MySQL migration of the same name.
CREATE TABLE session (
    session_id   INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
    user_id      BIGINT    NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
    remembered   BOOLEAN   NOT NULL,
    nonce        TEXT      NOT NULL,
    generation   INTEGER   NOT NULL,
    refresh_hash TEXT      NOT NULL,
    user_agent   TEXT      NOT NULL,
    ip           TEXT      NOT NULL,
    created      TIMESTAMP NOT NULL,
    rotated      TIMESTAMP NOT NULL,
    expires      TIMESTAMP NOT NULL
);
CREATE INDEX session_owner ON session (user_id);
CREATE INDEX session_expires ON session (expires);

CREATE TABLE session_event (
    event_id   INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
    user_id    BIGINT    NOT NULL,
    session_id BIGINT    NULL,
    at         TIMESTAMP NOT NULL
);
CREATE INDEX session_event_at ON session_event (at);

CREATE TABLE audit (
    audit_id   INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
    at         TIMESTAMP NOT NULL,
    user_id    BIGINT    NULL,
    actor_id   BIGINT    NULL,
    action     TEXT      NOT NULL,
    ip         TEXT      NOT NULL,
    request_id TEXT      NOT NULL,
    detail     TEXT      NOT NULL
);
CREATE INDEX audit_user ON audit (user_id, audit_id);

CREATE TABLE signing_key (
    kid        TEXT      NOT NULL PRIMARY KEY,
    alg        TEXT      NOT NULL,
    sealed     TEXT      NOT NULL,
    public_key TEXT      NULL,
    created    TIMESTAMP NOT NULL,
    activates  TIMESTAMP NOT NULL,
    retires    TIMESTAMP NULL
) WITHOUT ROWID;
