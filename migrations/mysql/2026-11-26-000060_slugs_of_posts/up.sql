-- The name of a post in links, and what lists show of its text. Null is not made yet: servers fill
-- what is there, and what a program of before makes meanwhile, beside their requests.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'slug'),
    'DO 0',
    'ALTER TABLE post
        ADD COLUMN slug VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
        ADD COLUMN summary VARCHAR(500) NULL,
        ADD COLUMN own_summary BOOLEAN NOT NULL DEFAULT FALSE');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.statistics
           WHERE table_schema = DATABASE() AND table_name = 'post' AND index_name = 'post_slug'),
    'DO 0',
    'CREATE UNIQUE INDEX post_slug ON post (slug)');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;

-- Slugs that posts had before: they lead to the present ones.
CREATE TABLE IF NOT EXISTS old_slug (
    slug     VARCHAR(100) NOT NULL,
    post_id  BIGINT       NOT NULL,
    replaced DATETIME(6)  NOT NULL,
    PRIMARY KEY (slug),
    KEY old_slug_post (post_id, replaced),
    CONSTRAINT old_slug_post FOREIGN KEY (post_id) REFERENCES post (post_id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
