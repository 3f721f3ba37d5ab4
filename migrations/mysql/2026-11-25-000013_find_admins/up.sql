-- Whether there is another active admin is asked along an index, not by reading all users.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.statistics
           WHERE table_schema = DATABASE() AND table_name = 'user' AND index_name = 'user_role'),
    'DO 0',
    'ALTER TABLE user ADD KEY user_role (role, is_active)');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
-- How often an active admin was taken away. Two that do it at once both change this row,
-- so that one sees what the other did, at two nodes of a cluster too, where locks are not
-- shared but a change of the same row is refused.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'installation' AND column_name = 'admin_changes'),
    'DO 0',
    'ALTER TABLE installation ADD COLUMN admin_changes BIGINT NOT NULL DEFAULT 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
