-- The twin of the MySQL migration of the same name.
CREATE TABLE count_upkeep (
    name    TEXT    NOT NULL PRIMARY KEY,
    version BIGINT  NOT NULL,
    filled  BOOLEAN NOT NULL
) WITHOUT ROWID;
INSERT INTO count_upkeep (name, version, filled)
    SELECT 'posts', 0, NOT EXISTS(SELECT 1 FROM post);
