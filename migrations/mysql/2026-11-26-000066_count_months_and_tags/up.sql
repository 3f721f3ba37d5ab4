-- How many posts of a list there are of each month, and how many each tag has, are kept in post_count
-- beside the other counts, as levels 2 and 3. A server counts the posts that are there, and sets
-- `filled`; until then nobody reads them. Whoever adds what was missing raises the version first: so of two
-- who have counted at once only one adds it.
CREATE TABLE IF NOT EXISTS count_upkeep (
    name    VARCHAR(16) NOT NULL,
    version BIGINT      NOT NULL,
    filled  BOOLEAN     NOT NULL,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT IGNORE INTO count_upkeep (name, version, filled)
    SELECT 'posts', 0, NOT EXISTS(SELECT 1 FROM post);
