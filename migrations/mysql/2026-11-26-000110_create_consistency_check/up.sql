-- The newest check of what is kept of posts and users: whose job it is, its next part, what it has found so far, and what
-- the newest one found that came to its end. One row. A program of before neither asks for a check nor does one.
CREATE TABLE IF NOT EXISTS consistency_check (
    id              INT         NOT NULL,
    job_id          BIGINT      NULL,
    asked           DATETIME(6) NULL,
    part            INT         NOT NULL,
    found           MEDIUMTEXT  NOT NULL,
    report          MEDIUMTEXT  NULL,
    report_asked    DATETIME(6) NULL,
    report_finished DATETIME(6) NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO consistency_check (id, part, found)
SELECT 1, 0, '' FROM DUAL
WHERE NOT EXISTS (SELECT 1 FROM (SELECT id FROM consistency_check) AS made);
