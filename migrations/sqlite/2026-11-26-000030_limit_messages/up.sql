-- The twin of the MySQL migration of the same name.
CREATE TABLE message_budget (
    bucket TEXT      NOT NULL PRIMARY KEY,
    until  TIMESTAMP NOT NULL,
    sent   INTEGER   NOT NULL
) WITHOUT ROWID;
CREATE INDEX message_budget_until ON message_budget (until);
