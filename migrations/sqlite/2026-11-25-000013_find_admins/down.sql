ALTER TABLE installation DROP COLUMN admin_changes;
DROP INDEX user_role;
