-- The twin of the MySQL migration of the same name. Texts have no bounds here.
ALTER TABLE user ADD COLUMN bio TEXT NULL;
ALTER TABLE user ADD COLUMN image TEXT NULL;
