-- Valid on MySQL 8.0+ and MariaDB 10.6+.
-- post_id has no foreign key: a post may have a hundred thousand comments, which are deleted in pieces when it
-- is gone (post_leftover). Of a user who is gone, what is answered to stays without an author.
CREATE TABLE IF NOT EXISTS comment (
    comment_id BIGINT      NOT NULL AUTO_INCREMENT,
    post_id    BIGINT      NOT NULL,
    author_id  BIGINT      NULL,
    reply_to   BIGINT      NULL,
    content    MEDIUMTEXT  NOT NULL,
    created    DATETIME(6) NOT NULL,
    updated    DATETIME(6) NOT NULL,
    deleted    BOOLEAN     NOT NULL,
    PRIMARY KEY (comment_id),
    KEY comment_post (post_id, comment_id),
    KEY comment_author (author_id, comment_id),
    KEY comment_reply (reply_to),
    CONSTRAINT comment_user FOREIGN KEY (author_id) REFERENCES user (user_id) ON DELETE SET NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What is counted of a post: a number is the sum over its slots. kind: 0 comments that are there, 1 those and
-- what is left of deleted ones, 2 likes.
CREATE TABLE IF NOT EXISTS post_stat (
    post_id BIGINT NOT NULL,
    kind    INT    NOT NULL,
    slot    INT    NOT NULL,
    number  BIGINT NOT NULL,
    PRIMARY KEY (post_id, kind, slot)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Posts that were deleted and of which there are rows left to delete.
CREATE TABLE IF NOT EXISTS post_leftover (
    post_id BIGINT NOT NULL,
    PRIMARY KEY (post_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
