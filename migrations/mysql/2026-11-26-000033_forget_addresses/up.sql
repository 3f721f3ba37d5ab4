-- Up to which entry the audit has forgotten the addresses: those before it are not read again.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'installation' AND column_name = 'audit_forgotten'),
    'DO 0',
    'ALTER TABLE installation ADD COLUMN audit_forgotten BIGINT NOT NULL DEFAULT 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
