ALTER TABLE installation DROP COLUMN audit_forgotten;
