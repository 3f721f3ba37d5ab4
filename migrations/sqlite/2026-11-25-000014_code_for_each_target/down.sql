DELETE FROM code WHERE used IS NOT NULL;
DROP INDEX code_user_id_purpose_target;
CREATE UNIQUE INDEX code_user_id_purpose ON code (user_id, purpose);
