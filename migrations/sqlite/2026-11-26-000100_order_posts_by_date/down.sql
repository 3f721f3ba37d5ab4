-- The twin of the MySQL migration of the same name. The index of the words does not keep them: they are made anew.
DELETE FROM post_words;
INSERT OR IGNORE INTO post_unindexed (post_id) SELECT post_id FROM post;
UPDATE post_tag SET place = post_id;
UPDATE post SET place = post_id;
DELETE FROM post_count WHERE level IN (0, 1, 4, 5) OR level = 2 AND list LIKE 'd%';
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 'a', 0, place >> 8, 0, COUNT(*) FROM post WHERE published = 1 GROUP BY place >> 8;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 'a', 1, place >> 14, 0, COUNT(*) FROM post WHERE published = 1 GROUP BY place >> 14;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT IIF(published, 'u', 'd') || author_id, 0, place >> 8, 0, COUNT(*)
    FROM post GROUP BY published, author_id, place >> 8;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT IIF(published, 'u', 'd') || author_id, 1, place >> 14, 0, COUNT(*)
    FROM post GROUP BY published, author_id, place >> 14;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 't' || tag, 0, place >> 8, 0, COUNT(*) FROM post_tag WHERE published = 1 GROUP BY tag, place >> 8;
INSERT INTO post_count (list, level, block, slot, posts)
    SELECT 't' || tag, 1, place >> 14, 0, COUNT(*) FROM post_tag WHERE published = 1 GROUP BY tag, place >> 14;
DELETE FROM count_upkeep WHERE name = 'places';
ALTER TABLE count_upkeep DROP COLUMN ended;
