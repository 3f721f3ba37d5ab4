-- When a post was made; of one from before, and of what a program of before makes meanwhile, that
-- is not known: null, and `date` is the best that can be told.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'created'),
    'DO 0',
    'ALTER TABLE post ADD COLUMN created DATETIME(6) NULL');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
