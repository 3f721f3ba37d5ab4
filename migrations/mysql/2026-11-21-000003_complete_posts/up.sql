-- Valid on MySQL 8.0+ and MariaDB 10.6+. Every statement can be run again after a
-- start that was cut off; MySQL has no ADD COLUMN IF NOT EXISTS, so the one ALTER,
-- which happens whole or not at all, asks first.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'place'),
    'DO 0',
    'ALTER TABLE post
        ADD COLUMN published BOOLEAN NOT NULL,
        ADD COLUMN place BIGINT NOT NULL,
        ADD COLUMN tags VARCHAR(400) NOT NULL,
        ADD KEY post_list (published, place),
        ADD KEY post_author_list (author_id, published, place),
        DROP KEY post_date,
        DROP KEY post_author_date');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
-- The columns have no default: an older program that still runs is refused, not
-- miscounted.
UPDATE post SET published = TRUE, place = post_id WHERE place = 0;

-- place: where a post stands in every list that it is in, the newest with the
-- highest. Its id; a draft that is published gets a new number from the same
-- sequence, for it is new then. It never changes otherwise, and no two have the same.
CREATE TABLE IF NOT EXISTS post_tag (
    tag       VARCHAR(32) NOT NULL,
    published BOOLEAN     NOT NULL,
    place     BIGINT      NOT NULL,
    post_id   BIGINT      NOT NULL,
    author_id BIGINT      NOT NULL,
    PRIMARY KEY (tag, published, place),
    KEY post_tag_author_list (author_id, tag, published, place)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How many posts of a list have their places in a block of 256 (level 0) or 16,384
-- (level 1) places. A block's number is the sum over its slots.
CREATE TABLE IF NOT EXISTS post_count (
    list  VARCHAR(40) NOT NULL,
    level INT         NOT NULL,
    block BIGINT      NOT NULL,
    slot  INT         NOT NULL,
    posts BIGINT      NOT NULL,
    PRIMARY KEY (list, level, block, slot)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
DELETE FROM post_count;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 'a', 0, place >> 8, 0, COUNT(*) FROM post GROUP BY place >> 8;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 'a', 1, place >> 14, 0, COUNT(*) FROM post GROUP BY place >> 14;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT CONCAT('u', author_id), 0, place >> 8, 0, COUNT(*) FROM post GROUP BY author_id, place >> 8;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT CONCAT('u', author_id), 1, place >> 14, 0, COUNT(*) FROM post GROUP BY author_id, place >> 14;

-- Words as posts::search makes them: ASCII, so that no parser or collation of the
-- server decides what is found.
CREATE TABLE IF NOT EXISTS post_words (
    place BIGINT   NOT NULL,
    words LONGTEXT NOT NULL,
    PRIMARY KEY (place),
    FULLTEXT KEY post_words_words (words)
) ENGINE = InnoDB DEFAULT CHARACTER SET ascii COLLATE ascii_bin;

-- Posts from before there was a search: every server indexes some until none is left.
CREATE TABLE IF NOT EXISTS post_unindexed (
    post_id BIGINT NOT NULL,
    PRIMARY KEY (post_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;

CREATE TABLE IF NOT EXISTS idempotency (
    user_id         BIGINT       NOT NULL,
    idempotency_key VARCHAR(255) NOT NULL,
    request_hash    VARCHAR(64)  NOT NULL,
    post_id         BIGINT       NOT NULL,
    etag            VARCHAR(64)  NOT NULL,
    answer          LONGBLOB     NOT NULL,
    created         DATETIME(6)  NOT NULL,
    PRIMARY KEY (user_id, idempotency_key),
    KEY idempotency_created (created),
    CONSTRAINT idempotency_user FOREIGN KEY (user_id) REFERENCES user (user_id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
