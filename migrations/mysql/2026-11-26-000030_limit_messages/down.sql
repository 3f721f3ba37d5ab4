DROP TABLE IF EXISTS message_budget;
