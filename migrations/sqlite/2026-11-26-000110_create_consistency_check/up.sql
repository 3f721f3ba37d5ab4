-- The twin of the MySQL migration of the same name.
CREATE TABLE consistency_check (
    id              INTEGER   NOT NULL PRIMARY KEY,
    job_id          BIGINT    NULL,
    asked           TIMESTAMP NULL,
    part            INTEGER   NOT NULL,
    found           TEXT      NOT NULL,
    report          TEXT      NULL,
    report_asked    TIMESTAMP NULL,
    report_finished TIMESTAMP NULL
);

INSERT INTO consistency_check (id, part, found) VALUES (1, 0, '');
