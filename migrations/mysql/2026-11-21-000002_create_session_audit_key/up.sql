-- A session is a login; its refresh token is kept as SHA-256 (base64url). `nonce`
-- and `generation` make its tokens recognisable after they were used.
CREATE TABLE IF NOT EXISTS session (
    session_id   BIGINT       NOT NULL AUTO_INCREMENT,
    user_id      BIGINT       NOT NULL,
    remembered   BOOLEAN      NOT NULL,
    nonce        VARCHAR(43)  NOT NULL,
    generation   INTEGER      NOT NULL,
    refresh_hash VARCHAR(43)  NOT NULL,
    user_agent   VARCHAR(256) NOT NULL,
    ip           VARCHAR(45)  NOT NULL,
    created      DATETIME(6)  NOT NULL,
    rotated      DATETIME(6)  NOT NULL,
    expires      DATETIME(6)  NOT NULL,
    PRIMARY KEY (session_id),
    KEY session_owner (user_id),
    KEY session_expires (expires),
    CONSTRAINT session_user FOREIGN KEY (user_id) REFERENCES user (user_id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What other processes must forget about sessions: one of them, or all of a user.
-- No foreign keys: the row outlives what it is about.
CREATE TABLE IF NOT EXISTS session_event (
    event_id   BIGINT      NOT NULL AUTO_INCREMENT,
    user_id    BIGINT      NOT NULL,
    session_id BIGINT      NULL,
    at         DATETIME(6) NOT NULL,
    PRIMARY KEY (event_id),
    KEY session_event_at (at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who did what to whose account, when and from where.
CREATE TABLE IF NOT EXISTS audit (
    audit_id   BIGINT       NOT NULL AUTO_INCREMENT,
    at         DATETIME(6)  NOT NULL,
    user_id    BIGINT       NULL,
    actor_id   BIGINT       NULL,
    action     VARCHAR(32)  NOT NULL,
    ip         VARCHAR(45)  NOT NULL,
    request_id VARCHAR(64)  NOT NULL,
    detail     VARCHAR(256) NOT NULL,
    PRIMARY KEY (audit_id),
    KEY audit_user (user_id, audit_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Keys that sign tokens. The secret part is encrypted under INKPOT_JWT_SECRET.
CREATE TABLE IF NOT EXISTS signing_key (
    kid        VARCHAR(32)  NOT NULL,
    alg        VARCHAR(8)   NOT NULL,
    sealed     VARCHAR(512) NOT NULL,
    public_key VARCHAR(512) NULL,
    created    DATETIME(6)  NOT NULL,
    activates  DATETIME(6)  NOT NULL,
    retires    DATETIME(6)  NULL,
    PRIMARY KEY (kid)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
