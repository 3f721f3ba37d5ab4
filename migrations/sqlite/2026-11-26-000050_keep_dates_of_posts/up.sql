-- The twin of the MySQL migration of the same name.
ALTER TABLE post ADD COLUMN withdrawn BOOLEAN NOT NULL DEFAULT FALSE;
