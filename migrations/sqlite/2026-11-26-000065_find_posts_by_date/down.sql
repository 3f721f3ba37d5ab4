DROP INDEX post_author_dated;
DROP INDEX post_dated;
