-- The twin of the MySQL migration of the same name; nobody reads or writes it.
CREATE TABLE replica_heartbeat (
    id   INTEGER   NOT NULL PRIMARY KEY,
    beat BIGINT    NOT NULL,
    at   TIMESTAMP NOT NULL
);

INSERT INTO replica_heartbeat (id, beat, at) VALUES (1, 0, '2000-01-01 00:00:00');
