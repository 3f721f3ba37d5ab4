SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.statistics
           WHERE table_schema = DATABASE() AND table_name = 'post' AND index_name = 'post_dated'),
    'ALTER TABLE post DROP KEY post_author_dated, DROP KEY post_dated',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
