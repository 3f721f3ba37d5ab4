DELETE FROM code WHERE purpose = 'password';
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'code' AND column_name = 'order_hash'),
    'ALTER TABLE code
        ADD UNIQUE KEY code_user_id_purpose_target (user_id, purpose, target),
        DROP KEY code_user_id_purpose_target_order_hash,
        DROP COLUMN order_hash',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
