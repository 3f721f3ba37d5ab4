DROP TABLE count_upkeep;
DELETE FROM post_count WHERE level > 1;
