-- The twin of the MySQL migration of the same name.
ALTER TABLE post ADD COLUMN publish_at TIMESTAMP NULL;
CREATE INDEX post_publish_at ON post (publish_at) WHERE publish_at IS NOT NULL;
