-- The twin of the MySQL migration of the same name.
ALTER TABLE job ADD COLUMN request_id TEXT;
ALTER TABLE job ADD COLUMN traceparent TEXT;
