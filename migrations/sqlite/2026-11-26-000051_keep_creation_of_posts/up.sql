-- The twin of the MySQL migration of the same name.
ALTER TABLE post ADD COLUMN created TIMESTAMP NULL;
