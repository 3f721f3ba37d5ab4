-- The twin of the MySQL migration of the same name.
CREATE INDEX user_role ON user (role, is_active);
ALTER TABLE installation ADD COLUMN admin_changes BIGINT NOT NULL DEFAULT 0;
