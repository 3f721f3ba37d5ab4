-- Without the column that says so a draft would be public.
SET @inkpot_there = EXISTS(
    SELECT 1 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'post' AND column_name = 'place');
SET @inkpot_sql = IF(@inkpot_there, 'DELETE FROM post WHERE NOT published', 'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
SET @inkpot_sql = IF(
    @inkpot_there,
    'ALTER TABLE post
        ADD KEY post_date (date, post_id),
        ADD KEY post_author_date (author_id, date, post_id),
        DROP KEY post_list,
        DROP KEY post_author_list,
        DROP COLUMN tags,
        DROP COLUMN place,
        DROP COLUMN published',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
DROP TABLE IF EXISTS idempotency;
DROP TABLE IF EXISTS post_unindexed;
DROP TABLE IF EXISTS post_words;
DROP TABLE IF EXISTS post_count;
DROP TABLE IF EXISTS post_tag;
