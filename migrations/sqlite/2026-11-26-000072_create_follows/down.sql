DROP TABLE user_stat;
DROP TABLE follow;
