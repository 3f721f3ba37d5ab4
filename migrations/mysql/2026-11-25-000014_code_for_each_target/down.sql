DELETE FROM code WHERE used IS NOT NULL;
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.statistics
           WHERE table_schema = DATABASE() AND table_name = 'code' AND index_name = 'code_user_id_purpose_target'),
    'ALTER TABLE code
        ADD UNIQUE KEY code_user_id_purpose (user_id, purpose),
        DROP KEY code_user_id_purpose_target',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
