-- Posts between dates, of all and of an author. The place in the first is there for their tags, whose
-- rows are found by it. In the second it would tempt MariaDB to sort an author's drafts by it.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.statistics
           WHERE table_schema = DATABASE() AND table_name = 'post' AND index_name = 'post_dated'),
    'DO 0',
    'ALTER TABLE post
        ADD KEY post_dated (published, date, post_id, place),
        ADD KEY post_author_dated (author_id, published, date, post_id)');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
