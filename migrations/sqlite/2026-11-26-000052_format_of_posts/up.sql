-- The twin of the MySQL migration of the same name.
ALTER TABLE post ADD COLUMN format TEXT NOT NULL DEFAULT 'markdown';
