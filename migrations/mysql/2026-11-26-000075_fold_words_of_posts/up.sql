-- Words are compared without accents, tags and the author's name are found as well, and words such as
-- c++ are words: every server indexes some posts anew until none is left. Plain words are found
-- meanwhile.
INSERT IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;
