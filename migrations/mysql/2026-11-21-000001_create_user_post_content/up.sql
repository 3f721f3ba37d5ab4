-- Valid on MySQL 8.0+ and MariaDB 10.6+. Character set and collation are named
-- everywhere, because the defaults of the two differ. DDL commits by itself, so
-- every statement can be run again after a start that was cut off.
--
-- Columns named *_key hold the canonical form that is compared; the column
-- without the suffix holds what the person wrote.
CREATE TABLE IF NOT EXISTS user (
    user_id         BIGINT       NOT NULL AUTO_INCREMENT,
    email           VARCHAR(254) NOT NULL,
    email_key       VARCHAR(254) NOT NULL,
    name            VARCHAR(64)  NOT NULL,
    username        VARCHAR(20)  NULL,
    username_key    VARCHAR(20)  NULL,
    mobile          VARCHAR(32)  NULL,
    mobile_key      VARCHAR(16)  NULL,
    password        VARCHAR(128) NOT NULL,
    role            VARCHAR(16)  NOT NULL,
    is_active       BOOLEAN      NOT NULL,
    email_verified  BOOLEAN      NOT NULL,
    mobile_verified BOOLEAN      NOT NULL,
    created         DATETIME(6)  NOT NULL,
    updated         DATETIME(6)  NOT NULL,
    PRIMARY KEY (user_id),
    UNIQUE KEY user_email_key (email_key),
    UNIQUE KEY user_username_key (username_key),
    UNIQUE KEY user_mobile_key (mobile_key)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS post (
    post_id   BIGINT       NOT NULL AUTO_INCREMENT,
    author_id BIGINT       NOT NULL,
    title     VARCHAR(256) NOT NULL,
    date      DATETIME(6)  NOT NULL,
    updated   DATETIME(6)  NOT NULL,
    PRIMARY KEY (post_id),
    KEY post_date (date, post_id),
    KEY post_author_date (author_id, date, post_id),
    CONSTRAINT post_author FOREIGN KEY (author_id) REFERENCES user (user_id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One to one with post: lists of posts never read the text.
CREATE TABLE IF NOT EXISTS content (
    post_id BIGINT     NOT NULL,
    body    MEDIUMTEXT NOT NULL,
    PRIMARY KEY (post_id),
    CONSTRAINT content_post FOREIGN KEY (post_id) REFERENCES post (post_id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
