-- What a replica is measured by: a number that grows at most once a second, while servers have a
-- replica to read from. Who finds a number there finds all that was committed before it. One row.
CREATE TABLE IF NOT EXISTS replica_heartbeat (
    id   INT         NOT NULL,
    beat BIGINT      NOT NULL,
    at   DATETIME(6) NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO replica_heartbeat (id, beat, at)
SELECT 1, 0, '2000-01-01 00:00:00' FROM DUAL
WHERE NOT EXISTS (SELECT 1 FROM (SELECT id FROM replica_heartbeat) AS made);
