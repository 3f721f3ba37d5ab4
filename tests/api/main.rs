//! The whole suite in one binary; every test runs on SQLite and on MySQL, with a
//! database of its own.

// Tests say what went wrong by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// They watch real servers in real time, and read what the test suite is told.
#![allow(clippy::disallowed_methods)]

mod harness;

mod accounts;
mod admin;
mod answers;
mod archive;
mod authoring;
mod browser;
mod bulkheads;
mod bus;
mod clients;
mod cluster;
mod codes;
mod command;
mod comments;
mod comments_model;
mod contract;
mod counts;
mod crash;
mod delivery;
mod deploying;
mod doctor;
mod documents;
mod edge;
mod exchanges;
mod fairness;
mod feeds;
mod filling;
mod follows;
mod formats;
mod found_words;
mod frontend;
mod fuzz;
mod house;
mod idempotency;
mod identity;
mod job_crash;
mod job_pause;
mod job_trouble;
mod jobs;
mod keys;
mod leaving;
mod likes;
mod limits;
mod lists;
mod locks;
mod log;
mod lost_commit;
mod messages;
mod metrics;
mod migrations;
mod model;
mod outage;
mod own;
mod page;
mod passwords;
mod people;
mod phrases;
mod plans;
mod posts;
mod prefix;
mod presence;
mod presence_ends;
mod presence_hub;
mod presence_rude;
mod presence_storm;
mod process;
mod promises;
mod readme;
mod relevance;
mod rendering;
mod rights;
mod scripts;
mod search;
mod selections;
mod sessions;
mod shared_limits;
mod slow_clients;
mod slugs;
mod spellings;
mod stood_still;
mod storm;
mod text;
mod together;
mod tokens;
mod topology;
mod trial;
mod upgrades;
mod validation;
mod watching;
