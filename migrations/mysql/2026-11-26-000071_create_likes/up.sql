-- Valid on MySQL 8.0+ and MariaDB 10.6+. Who likes what; how many, post_stat says (kind 2).
CREATE TABLE IF NOT EXISTS post_like (
    post_id BIGINT      NOT NULL,
    user_id BIGINT      NOT NULL,
    created DATETIME(6) NOT NULL,
    PRIMARY KEY (post_id, user_id),
    KEY post_like_of (user_id, post_id),
    CONSTRAINT post_like_user FOREIGN KEY (user_id) REFERENCES user (user_id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
