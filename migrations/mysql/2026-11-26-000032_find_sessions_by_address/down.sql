SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.statistics
           WHERE table_schema = DATABASE() AND table_name = 'session' AND index_name = 'session_ip'),
    'ALTER TABLE session DROP KEY session_ip',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
