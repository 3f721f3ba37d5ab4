DROP TABLE IF EXISTS count_upkeep;
DELETE FROM post_count WHERE level > 1;
