-- The twin of the MySQL migration of the same name.
-- How much a post is about its words, by which what is found is put in order. Posts without are found
-- and stand behind: every server indexes some anew until none is left. The default is for the program
-- of before, which may still run.
ALTER TABLE post ADD COLUMN weights BLOB NOT NULL DEFAULT x'';
INSERT OR IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;
