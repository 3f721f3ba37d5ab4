-- The twin of the MySQL migration of the same name: the same tables, columns,
-- nullability and unique keys (a test compares them). SQLite's own collation is
-- binary. AUTOINCREMENT, so that the id of a deleted row is never given again.
CREATE TABLE user (
    user_id         INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
    email           TEXT      NOT NULL,
    email_key       TEXT      NOT NULL,
    name            TEXT      NOT NULL,
    username        TEXT      NULL,
    username_key    TEXT      NULL,
    mobile          TEXT      NULL,
    mobile_key      TEXT      NULL,
    password        TEXT      NOT NULL,
    role            TEXT      NOT NULL,
    is_active       BOOLEAN   NOT NULL,
    email_verified  BOOLEAN   NOT NULL,
    mobile_verified BOOLEAN   NOT NULL,
    created         TIMESTAMP NOT NULL,
    updated         TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX user_email_key ON user (email_key);
CREATE UNIQUE INDEX user_username_key ON user (username_key);
CREATE UNIQUE INDEX user_mobile_key ON user (mobile_key);

CREATE TABLE post (
    post_id   INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
    author_id BIGINT    NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
    title     TEXT      NOT NULL,
    date      TIMESTAMP NOT NULL,
    updated   TIMESTAMP NOT NULL
);
CREATE INDEX post_date ON post (date, post_id);
CREATE INDEX post_author_date ON post (author_id, date, post_id);

CREATE TABLE content (
    post_id INTEGER NOT NULL PRIMARY KEY REFERENCES post (post_id) ON DELETE CASCADE,
    body    TEXT    NOT NULL
);
