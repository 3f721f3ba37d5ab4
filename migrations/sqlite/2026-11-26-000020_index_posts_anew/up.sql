-- The twin of the MySQL migration of the same name.
-- The words of drafts are kept apart from those of published posts, and passages that a
-- post has twice are indexed once: every server indexes some posts anew until none is left.
-- What is published is found by its words meanwhile.
INSERT OR IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;
