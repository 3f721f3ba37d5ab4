DROP TABLE old_slug;
DROP INDEX post_slug;
ALTER TABLE post DROP COLUMN own_summary;
ALTER TABLE post DROP COLUMN summary;
ALTER TABLE post DROP COLUMN slug;
