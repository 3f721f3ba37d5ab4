SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'weights'),
    'ALTER TABLE post DROP COLUMN weights',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
-- The program of before makes other words.
INSERT IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;
