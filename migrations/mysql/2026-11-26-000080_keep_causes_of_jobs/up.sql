-- The request that caused a job, and the trace that it belongs to, for the log. A program of
-- before writes neither.
SET @inkpot_sql = IF(
    EXISTS(SELECT 1 FROM information_schema.columns
           WHERE table_schema = DATABASE() AND table_name = 'job' AND column_name = 'request_id'),
    'DO 0',
    'ALTER TABLE job ADD COLUMN request_id VARCHAR(64) NULL, ADD COLUMN traceparent VARCHAR(55) NULL');
PREPARE inkpot_statement FROM @inkpot_sql;
EXECUTE inkpot_statement;
DEALLOCATE PREPARE inkpot_statement;
