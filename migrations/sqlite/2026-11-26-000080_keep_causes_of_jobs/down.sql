ALTER TABLE job DROP COLUMN traceparent;
ALTER TABLE job DROP COLUMN request_id;
