-- The twin of the MySQL migration of the same name.
ALTER TABLE code ADD COLUMN order_hash TEXT NOT NULL DEFAULT '';
DROP INDEX code_user_id_purpose_target;
CREATE UNIQUE INDEX code_user_id_purpose_target_order_hash ON code (user_id, purpose, target, order_hash);
