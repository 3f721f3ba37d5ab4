-- The program of before makes other words.
INSERT IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;
