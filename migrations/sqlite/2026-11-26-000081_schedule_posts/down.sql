-- Scheduled posts stay as drafts; nobody does their jobs any more.
DELETE FROM job WHERE lane = 'publish';
DROP INDEX post_publish_at;
ALTER TABLE post DROP COLUMN publish_at;
