-- What tells this database from all others: by it processes that share a Redis find each
-- other. One row.
CREATE TABLE IF NOT EXISTS installation (
    name VARCHAR(32) NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO installation (name)
SELECT REPLACE(UUID(), '-', '') FROM DUAL
WHERE NOT EXISTS (SELECT 1 FROM (SELECT name FROM installation) AS named);
