-- What is done outside of requests. A row is written in the transaction of its cause.
-- `due` is when a worker may take it: at first, after a failure, and, of one that is
-- running, when its lease ends; NULL when there is nothing more to do.
CREATE TABLE IF NOT EXISTS job (
    job_id     BIGINT       NOT NULL AUTO_INCREMENT,
    kind       VARCHAR(16)  NOT NULL,
    lane       VARCHAR(8)   NOT NULL,
    state      VARCHAR(8)   NOT NULL,
    due        DATETIME(6)  NULL,
    lease      VARCHAR(26)  NULL,
    attempts   INT          NOT NULL,
    payload    TEXT         NOT NULL,
    dedup_key  VARCHAR(64)  NULL,
    user_id    BIGINT       NULL,
    last_error VARCHAR(500) NULL,
    created    DATETIME(6)  NOT NULL,
    finished   DATETIME(6)  NULL,
    PRIMARY KEY (job_id),
    UNIQUE KEY job_dedup_key (dedup_key),
    KEY job_lane_due (lane, due),
    KEY job_state_job_id (state, job_id),
    KEY job_user_id (user_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The newest code of a user for each purpose: as HMAC, and the nonce that, with the
-- service's secret, tells it once more to the job that sends it.
CREATE TABLE IF NOT EXISTS code (
    code_id   BIGINT       NOT NULL AUTO_INCREMENT,
    user_id   BIGINT       NOT NULL,
    purpose   VARCHAR(8)   NOT NULL,
    target    VARCHAR(320) NOT NULL,
    nonce     VARCHAR(43)  NOT NULL,
    code_hash VARCHAR(43)  NOT NULL,
    tries     INT          NOT NULL,
    created   DATETIME(6)  NOT NULL,
    expires   DATETIME(6)  NOT NULL,
    used      DATETIME(6)  NULL,
    PRIMARY KEY (code_id),
    UNIQUE KEY code_user_id_purpose (user_id, purpose),
    KEY code_expires (expires),
    CONSTRAINT code_user FOREIGN KEY (user_id) REFERENCES user (user_id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
