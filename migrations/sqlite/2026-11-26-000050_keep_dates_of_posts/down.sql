ALTER TABLE post DROP COLUMN withdrawn;
