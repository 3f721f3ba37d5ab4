-- Valid on MySQL 8.0+ and MariaDB 10.6+. Who follows whom.
CREATE TABLE IF NOT EXISTS follow (
    follow_id   BIGINT      NOT NULL AUTO_INCREMENT,
    follower_id BIGINT      NOT NULL,
    followed_id BIGINT      NOT NULL,
    created     DATETIME(6) NOT NULL,
    PRIMARY KEY (follow_id),
    UNIQUE KEY follow_follower_id_followed_id (follower_id, followed_id),
    KEY follow_followers (followed_id, follow_id),
    KEY follow_following (follower_id, follow_id),
    CONSTRAINT follow_follower FOREIGN KEY (follower_id) REFERENCES user (user_id) ON DELETE CASCADE,
    CONSTRAINT follow_followed FOREIGN KEY (followed_id) REFERENCES user (user_id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What is counted of a user: a number is the sum over its slots. kind: 0 followers, 1 whom they follow.
CREATE TABLE IF NOT EXISTS user_stat (
    user_id BIGINT NOT NULL,
    kind    INT    NOT NULL,
    slot    INT    NOT NULL,
    number  BIGINT NOT NULL,
    PRIMARY KEY (user_id, kind, slot)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
