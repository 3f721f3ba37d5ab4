-- A code belongs to the request that ordered it, which alone knows what `order_hash` is the hash
-- of; empty where whoever ordered it is known by a token. Those of other requests stay beside it.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'code' AND column_name = 'order_hash'),
    'DO 0',
    'ALTER TABLE code
        ADD COLUMN order_hash VARCHAR(43) NOT NULL DEFAULT '''',
        ADD UNIQUE KEY code_user_id_purpose_target_order_hash (user_id, purpose, target, order_hash),
        DROP KEY code_user_id_purpose_target');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
