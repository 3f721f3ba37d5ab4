-- When a post is to be published that is not; NULL of all others. The index is for what is due. A program
-- of before writes none, and has such a post as a draft.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'publish_at'),
    'DO 0',
    'ALTER TABLE post ADD COLUMN publish_at DATETIME(6) NULL');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.statistics
           WHERE table_schema = DATABASE() AND table_name = 'post' AND index_name = 'post_publish_at'),
    'DO 0',
    'ALTER TABLE post ADD KEY post_publish_at (publish_at)');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
