-- The twin of the MySQL migration of the same name.
CREATE INDEX post_dated ON post (published, date, post_id, place);
CREATE INDEX post_author_dated ON post (author_id, published, date, post_id);
