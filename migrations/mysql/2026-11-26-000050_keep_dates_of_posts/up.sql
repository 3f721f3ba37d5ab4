-- Whether a draft was published before: then `date` and `place` are those of that time, and it
-- is published again with them. The default is for the program of before, which may still run.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'withdrawn'),
    'DO 0',
    'ALTER TABLE post ADD COLUMN withdrawn BOOLEAN NOT NULL DEFAULT FALSE');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
