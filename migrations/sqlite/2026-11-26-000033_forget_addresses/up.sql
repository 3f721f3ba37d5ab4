-- The twin of the MySQL migration of the same name.
ALTER TABLE installation ADD COLUMN audit_forgotten BIGINT NOT NULL DEFAULT 0;
