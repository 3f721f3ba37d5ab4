-- The place of a post is made of its date, in microseconds since the year 1, where it was the id of a row. Servers move
-- the posts that are there, some at a time, beside their requests; places of before are below all others. What is
-- moved is counted in post_count of its day (level 4) and, published, of a 64th of that (level 5); levels 0 and 1
-- are for the program of before, which may still run, and are deleted a day after all posts are moved. The row says
-- whether that is so, and since when; NULL when nothing is left to delete.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'count_upkeep' AND column_name = 'ended'),
    'DO 0',
    'ALTER TABLE count_upkeep ADD COLUMN ended DATETIME(6) NULL');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
INSERT IGNORE INTO count_upkeep (name, version, filled)
    SELECT 'places', 0, NOT EXISTS(SELECT 1 FROM post);
