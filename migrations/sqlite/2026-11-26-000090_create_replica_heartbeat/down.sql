DROP TABLE IF EXISTS replica_heartbeat;
