-- How many messages may still be sent to or for what a bucket is called after. A row is worth
-- nothing after `until`.
CREATE TABLE IF NOT EXISTS message_budget (
    bucket VARCHAR(80) NOT NULL,
    until  DATETIME(6) NOT NULL,
    sent   INT         NOT NULL,
    PRIMARY KEY (bucket),
    KEY message_budget_until (until)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
