-- Posts stand in the order of their ids again, which is that in which they were made. No post has another one's id as its
-- place.
UPDATE post_words w JOIN post p ON p.published IN (0, 1) AND p.place = w.place SET w.place = p.post_id;
UPDATE post_tag t JOIN post p ON p.post_id = t.post_id SET t.place = t.post_id;
UPDATE post SET place = post_id;
DELETE FROM post_count WHERE level IN (0, 1, 4, 5) OR level = 2 AND list LIKE 'd%';
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 'a', 0, place >> 8, 0, COUNT(*) FROM post WHERE published = 1 GROUP BY place >> 8;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 'a', 1, place >> 14, 0, COUNT(*) FROM post WHERE published = 1 GROUP BY place >> 14;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT CONCAT(IF(published, 'u', 'd'), author_id), 0, place >> 8, 0, COUNT(*)
    FROM post GROUP BY published, author_id, place >> 8;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT CONCAT(IF(published, 'u', 'd'), author_id), 1, place >> 14, 0, COUNT(*)
    FROM post GROUP BY published, author_id, place >> 14;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT CONCAT('t', tag), 0, place >> 8, 0, COUNT(*) FROM post_tag WHERE published = 1 GROUP BY tag, place >> 8;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT CONCAT('t', tag), 1, place >> 14, 0, COUNT(*) FROM post_tag WHERE published = 1 GROUP BY tag, place >> 14;
DELETE FROM count_upkeep WHERE name = 'places';
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'count_upkeep' AND column_name = 'ended'),
    'ALTER TABLE count_upkeep DROP COLUMN ended',
    'DO 0');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
