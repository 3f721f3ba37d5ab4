-- What tells this database from all others: by it processes that share a Redis find each
-- other. One row.
CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY
);

INSERT INTO installation (name) VALUES (lower(hex(randomblob(16))));
