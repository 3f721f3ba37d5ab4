-- The twin of the MySQL migration of the same name.
CREATE TABLE follow (
    follow_id   INTEGER   NOT NULL PRIMARY KEY AUTOINCREMENT,
    follower_id BIGINT    NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
    followed_id BIGINT    NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
    created     TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX follow_follower_id_followed_id ON follow (follower_id, followed_id);
CREATE INDEX follow_followers ON follow (followed_id, follow_id);
CREATE INDEX follow_following ON follow (follower_id, follow_id);

CREATE TABLE user_stat (
    user_id BIGINT  NOT NULL,
    kind    INTEGER NOT NULL,
    slot    INTEGER NOT NULL,
    number  BIGINT  NOT NULL,
    PRIMARY KEY (user_id, kind, slot)
) WITHOUT ROWID;
