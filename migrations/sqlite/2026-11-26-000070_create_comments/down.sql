DROP TABLE post_leftover;
DROP TABLE post_stat;
DROP TABLE comment;
