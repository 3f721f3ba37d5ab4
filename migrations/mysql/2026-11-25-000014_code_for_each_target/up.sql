-- The newest code of a user for each purpose and target. Of those for one purpose the newest
-- alone may be unused.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.statistics
           WHERE table_schema = DATABASE() AND table_name = 'code' AND index_name = 'code_user_id_purpose_target'),
    'DO 0',
    'ALTER TABLE code
        ADD UNIQUE KEY code_user_id_purpose_target (user_id, purpose, target),
        DROP KEY code_user_id_purpose');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
