-- Without the column that says so a draft would be public.
DELETE FROM post WHERE NOT published;
DROP TABLE idempotency;
DROP TABLE post_unindexed;
DROP TABLE post_words;
DROP TABLE post_count;
DROP TABLE post_tag;
DROP INDEX post_list;
DROP INDEX post_author_list;
ALTER TABLE post DROP COLUMN tags;
ALTER TABLE post DROP COLUMN place;
ALTER TABLE post DROP COLUMN published;
CREATE INDEX post_date ON post (date, post_id);
CREATE INDEX post_author_date ON post (author_id, date, post_id);
