-- The twin of the MySQL migration of the same name.
ALTER TABLE post ADD COLUMN slug TEXT NULL;
ALTER TABLE post ADD COLUMN summary TEXT NULL;
ALTER TABLE post ADD COLUMN own_summary BOOLEAN NOT NULL DEFAULT FALSE;
CREATE UNIQUE INDEX post_slug ON post (slug);

CREATE TABLE old_slug (
    slug     TEXT      NOT NULL PRIMARY KEY,
    post_id  BIGINT    NOT NULL REFERENCES post (post_id) ON DELETE CASCADE,
    replaced TIMESTAMP NOT NULL
) WITHOUT ROWID;
CREATE INDEX old_slug_post ON old_slug (post_id, replaced);
