-- Names that were too long before are taken away.
UPDATE user SET username = NULL, username_key = NULL WHERE CHAR_LENGTH(username) > 20;
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'user' AND column_name = 'bio'),
    'ALTER TABLE user
        DROP COLUMN image,
        DROP COLUMN bio,
        MODIFY COLUMN username VARCHAR(20) NULL,
        MODIFY COLUMN username_key VARCHAR(20) NULL',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
