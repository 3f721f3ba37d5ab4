DROP TABLE IF EXISTS old_slug;
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'slug'),
    'ALTER TABLE post DROP KEY post_slug, DROP COLUMN slug, DROP COLUMN summary, DROP COLUMN own_summary',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
