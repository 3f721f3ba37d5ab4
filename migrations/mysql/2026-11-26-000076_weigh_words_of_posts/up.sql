-- How much a post is about its words, by which what is found is put in order. Posts without are found
-- and stand behind: every server indexes some anew until none is left. The default is for the program
-- of before, which may still run.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'weights'),
    'DO 0',
    'ALTER TABLE post ADD COLUMN weights VARBINARY(384) NOT NULL DEFAULT ''''');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
INSERT IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;
