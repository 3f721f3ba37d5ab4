-- The program of before spells the words of drafts as it did.
INSERT IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;
