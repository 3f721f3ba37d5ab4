DELETE FROM code WHERE purpose = 'password';
DROP INDEX code_user_id_purpose_target_order_hash;
CREATE UNIQUE INDEX code_user_id_purpose_target ON code (user_id, purpose, target);
ALTER TABLE code DROP COLUMN order_hash;
