DROP TABLE post_like;
DELETE FROM post_stat WHERE kind = 2;
