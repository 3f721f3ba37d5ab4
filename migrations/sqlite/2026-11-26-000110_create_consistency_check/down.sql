-- Nobody does such jobs any more.
DELETE FROM job WHERE kind = 'check';
DROP TABLE IF EXISTS consistency_check;
