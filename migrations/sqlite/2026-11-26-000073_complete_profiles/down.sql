UPDATE user SET username = NULL, username_key = NULL WHERE LENGTH(username) > 20;
ALTER TABLE user DROP COLUMN image;
ALTER TABLE user DROP COLUMN bio;
