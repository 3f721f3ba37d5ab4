-- The twin of the MySQL migration of the same name.
CREATE TABLE comment (
    comment_id INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
    post_id    BIGINT    NOT NULL,
    author_id  BIGINT    NULL REFERENCES user (user_id) ON DELETE SET NULL,
    reply_to   BIGINT    NULL,
    content    TEXT      NOT NULL,
    created    TIMESTAMP NOT NULL,
    updated    TIMESTAMP NOT NULL,
    deleted    BOOLEAN   NOT NULL
);
CREATE INDEX comment_post ON comment (post_id, comment_id);
CREATE INDEX comment_author ON comment (author_id, comment_id);
CREATE INDEX comment_reply ON comment (reply_to);

CREATE TABLE post_stat (
    post_id BIGINT  NOT NULL,
    kind    INTEGER NOT NULL,
    slot    INTEGER NOT NULL,
    number  BIGINT  NOT NULL,
    PRIMARY KEY (post_id, kind, slot)
) WITHOUT ROWID;

CREATE TABLE post_leftover (
    post_id INTEGER NOT NULL PRIMARY KEY
);
