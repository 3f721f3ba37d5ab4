-- Scheduled posts stay as drafts; nobody does their jobs any more.
DELETE FROM job WHERE lane = 'publish';
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.statistics
           WHERE table_schema = DATABASE() AND table_name = 'post' AND index_name = 'post_publish_at'),
    'ALTER TABLE post DROP KEY post_publish_at',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'publish_at'),
    'ALTER TABLE post DROP COLUMN publish_at',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
