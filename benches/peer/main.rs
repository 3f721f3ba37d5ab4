//! The peer of the server in a measurement: what loads its database, what it is
//! compared with, and what asks it one request at a time.
//!
//! `benches/compare` and `benches/scale` run it; `make bench` is where to begin.

// What it prints is what it is for: addresses and JSON for the scripts, progress
// for people.
#![allow(clippy::print_stdout, clippy::print_stderr)]
// It measures real time.
#![allow(clippy::disallowed_methods)]

mod ask;
mod client;
mod insert;
mod jobs;
mod load;
mod pace;
mod people;
mod repeat;
mod serve;
mod sockets;
mod transaction;
mod usual;
mod words;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use inkpot::core::db::{Conn, DatabaseUrl, connection};

/// Any failure; it ends the program with one line.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
#[command(about = "The server's peer in measurements; see benches/compare")]
struct Cli {
    /// What cargo itself passes to benchmarks.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Make an empty database on a MySQL server
    Create {
        /// mysql://user:password@host:port/
        server: String,
        name: String,
    },
    /// Fill a database up to a number of posts
    Load(load::Options),
    /// Add users up to a number, and sessions of one
    People(people::Options),
    /// Serve what a running server answers, from memory
    Serve(serve::Options),
    /// Time requests one after the other; paths on standard input, one a line
    Ask {
        /// host:port
        address: String,
        /// Sent as a bearer token
        #[arg(long)]
        token: Option<String>,
    },
    /// Make a database fit for `usual`
    UsualIndex { database: String },
    /// Serve the same from the same tables in the usual way
    Usual(usual::Options),
    /// Time requests at a steady rate
    Pace(pace::Options),
    /// Publish by bare transactions, as fast as they go
    Publish(repeat::Publish),
    /// Compare a password with its bcrypt hash, as fast as it goes
    Verify(repeat::Verify),
    /// Have workers do jobs that are nothing, as fast as they go
    Drain(jobs::Drain),
    /// Time jobs from their commit to their beginning by an idle worker
    Delay(jobs::Delay),
    /// Have many users online at a running server
    Sockets(sockets::Sockets),
    /// What a MySQL server has done so far: rows read, and whose process that is
    Counters { database: String },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.role {
        Some(Role::Create { server, name }) => create(&server, &name),
        Some(Role::Load(options)) => load::run(&options),
        Some(Role::People(options)) => people::run(&options),
        Some(Role::Serve(options)) => serve::run(options),
        Some(Role::Ask { address, token }) => ask::run(&address, token.as_deref()),
        Some(Role::UsualIndex { database }) => usual::index(&database),
        Some(Role::Usual(options)) => usual::run(&options),
        Some(Role::Pace(options)) => pace::run(&options),
        Some(Role::Publish(options)) => repeat::publish(&options),
        Some(Role::Verify(options)) => repeat::verify(&options),
        Some(Role::Drain(options)) => jobs::drain(&options),
        Some(Role::Delay(options)) => jobs::delay(&options),
        Some(Role::Sockets(options)) => sockets::run(&options),
        Some(Role::Counters { database }) => counters(&database),
        None => {
            println!("measurements need two servers and a load: make bench");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("peer: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Opens a connection as the server would.
fn open(database: &str) -> Outcome<Conn> {
    Ok(connection::open(&DatabaseUrl::parse(database)?)?)
}

fn create(server: &str, name: &str) -> Outcome<()> {
    let server = server.trim_end_matches('/');
    let mut conn = open(&format!("{server}/information_schema"))?;
    let sql = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4");
    Ok(conn.batch_execute(&sql)?)
}

#[derive(QueryableByName)]
struct Counter {
    #[diesel(sql_type = Text)]
    value: String,
}

/// Prints `{"rows_read": …, "pid": …}`. A database that is embedded has neither.
fn counters(database: &str) -> Outcome<()> {
    let mut conn = open(database)?;
    let Conn::Mysql(conn) = &mut conn else {
        return Err("only a MySQL server counts".into());
    };
    let read: Counter = diesel::sql_query(
        "SELECT CAST(CAST(SUM(variable_value) AS DECIMAL(20)) AS CHAR) AS value \
         FROM information_schema.global_status WHERE variable_name LIKE 'Handler\\_read\\_%'",
    )
    .get_result(conn)?;
    let file: Counter =
        diesel::sql_query("SELECT CAST(@@pid_file AS CHAR) AS value").get_result(conn)?;
    let pid = std::fs::read_to_string(PathBuf::from(file.value))?;
    println!(r#"{{"rows_read": {}, "pid": {}}}"#, read.value, pid.trim());
    Ok(())
}
