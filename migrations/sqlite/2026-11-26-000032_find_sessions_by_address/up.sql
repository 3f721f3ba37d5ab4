-- The twin of the MySQL migration of the same name.
CREATE INDEX session_ip ON session (ip, expires);
