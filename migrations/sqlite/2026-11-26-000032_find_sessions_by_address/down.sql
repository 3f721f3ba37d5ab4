DROP INDEX session_ip;
