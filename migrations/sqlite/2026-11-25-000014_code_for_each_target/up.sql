-- The twin of the MySQL migration of the same name.
DROP INDEX code_user_id_purpose;
CREATE UNIQUE INDEX code_user_id_purpose_target ON code (user_id, purpose, target);
