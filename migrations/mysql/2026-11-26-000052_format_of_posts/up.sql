-- How the text is read. What is there, and what a program of before makes, is Markdown.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'format'),
    'DO 0',
    'ALTER TABLE post ADD COLUMN format VARCHAR(16) NOT NULL DEFAULT ''markdown''');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
