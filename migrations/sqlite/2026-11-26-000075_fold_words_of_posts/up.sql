-- The twin of the MySQL migration of the same name.
-- Words are compared without accents, tags and the author's name are found as well, and words such as
-- c++ are words: every server indexes some posts anew until none is left. Plain words are found
-- meanwhile.
INSERT OR IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;
