-- The twin of the MySQL migration of the same name.
CREATE TABLE post_like (
    post_id BIGINT    NOT NULL,
    user_id BIGINT    NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
    created TIMESTAMP NOT NULL,
    PRIMARY KEY (post_id, user_id)
) WITHOUT ROWID;
CREATE INDEX post_like_of ON post_like (user_id, post_id);
