-- The twin of the MySQL migration of the same name. Full-text search is a virtual
-- table here (FTS5), which has no columns to compare.
ALTER TABLE post ADD COLUMN published BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE post ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
ALTER TABLE post ADD COLUMN tags TEXT NOT NULL DEFAULT '';
UPDATE post SET place = post_id;
CREATE INDEX post_list ON post (published, place);
CREATE INDEX post_author_list ON post (author_id, published, place);
DROP INDEX post_date;
DROP INDEX post_author_date;

CREATE TABLE post_tag (
    tag       TEXT    NOT NULL,
    published BOOLEAN NOT NULL,
    place     BIGINT  NOT NULL,
    post_id   BIGINT  NOT NULL,
    author_id BIGINT  NOT NULL,
    PRIMARY KEY (tag, published, place)
) WITHOUT ROWID;
CREATE INDEX post_tag_author_list ON post_tag (author_id, tag, published, place);

CREATE TABLE post_count (
    list  TEXT    NOT NULL,
    level INTEGER NOT NULL,
    block BIGINT  NOT NULL,
    slot  INTEGER NOT NULL,
    posts BIGINT  NOT NULL,
    PRIMARY KEY (list, level, block, slot)
) WITHOUT ROWID;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 'a', 0, place >> 8, 0, COUNT(*) FROM post GROUP BY place >> 8;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 'a', 1, place >> 14, 0, COUNT(*) FROM post GROUP BY place >> 14;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 'u' || author_id, 0, place >> 8, 0, COUNT(*) FROM post GROUP BY author_id, place >> 8;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 'u' || author_id, 1, place >> 14, 0, COUNT(*) FROM post GROUP BY author_id, place >> 14;

CREATE VIRTUAL TABLE post_words USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii');

CREATE TABLE post_unindexed (
    post_id INTEGER NOT NULL PRIMARY KEY
);
INSERT INTO post_unindexed (post_id) SELECT post_id FROM post;

CREATE TABLE idempotency (
    user_id         BIGINT    NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
    idempotency_key TEXT      NOT NULL,
    request_hash    TEXT      NOT NULL,
    post_id         BIGINT    NOT NULL,
    etag            TEXT      NOT NULL,
    answer          BLOB      NOT NULL,
    created         TIMESTAMP NOT NULL,
    PRIMARY KEY (user_id, idempotency_key)
) WITHOUT ROWID;
CREATE INDEX idempotency_created ON idempotency (created);
