-- The twin of the MySQL migration of the same name.
ALTER TABLE count_upkeep ADD COLUMN ended TIMESTAMP NULL;
INSERT INTO count_upkeep (name, version, filled)
    SELECT 'places', 0, NOT EXISTS(SELECT 1 FROM post);
