ALTER TABLE post DROP COLUMN weights;
-- The program of before makes other words.
INSERT OR IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;
