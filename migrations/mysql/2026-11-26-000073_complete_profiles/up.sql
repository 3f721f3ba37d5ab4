-- Valid on MySQL 8.0+ and MariaDB 10.6+. The one ALTER happens whole or not at all, and asks first: MySQL has no ADD
-- COLUMN IF NOT EXISTS. An older program that still runs leaves the new columns empty.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'user' AND column_name = 'bio'),
    'DO 0',
    'ALTER TABLE user
        MODIFY COLUMN username VARCHAR(64) NULL,
        MODIFY COLUMN username_key VARCHAR(64) NULL,
        ADD COLUMN bio VARCHAR(1000) NULL,
        ADD COLUMN image VARCHAR(2048) NULL');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
