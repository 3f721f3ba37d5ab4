//! Reads the command line, starts, waits for a signal.

// The program's own voice: what it serves where, or why it does not.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use inkpot::cli::args::{self, Command, Refusal};
use inkpot::cli::users;
use inkpot::core::settings::Settings;
use inkpot::core::{owner_only, spare_memory, telemetry};
use inkpot::{cli, server};

// A request makes and drops some hundred pieces of memory, and the threads of a server drop what others made:
// the allocator of the C library took a ninth of the processor time of a post that is not kept.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The start was refused.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    // Before any file is made.
    owner_only::begin();
    let given = match args::read() {
        Ok(given) => given,
        Err(Refusal::Help(help)) => {
            // Help that nobody reads any more is no failure.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
        Err(Refusal::Line(line)) => return refuse(&line),
    };
    // Its end writes the last lines of the log.
    let _log = match telemetry::start(&given.settings) {
        Ok(log) => log,
        Err(why) => return refuse(&why),
    };
    let command = given.command.unwrap_or(Command::Serve { no_jobs: false });
    let done = match command {
        Command::Serve { no_jobs } => return serve(given.settings, !no_jobs),
        Command::Worker => return work(given.settings),
        Command::Jobs { action } => cli::jobs::run(action, &given.settings, &mut std::io::stdout()),
        Command::Migrate { action } => {
            cli::migrate(action, &given.settings, &mut std::io::stdout())
        }
        Command::User { action } => users::run(action, &given.settings, &mut std::io::stdout()),
        Command::Keys { action } => {
            cli::keys::run(&action, &given.settings, &mut std::io::stdout())
        }
        Command::Check { repair, form } => {
            cli::check::run(repair, form, &given.settings, &mut std::io::stdout())
        }
        Command::Doctor { mail, quick, form } => {
            let mut out = std::io::stdout();
            cli::doctor::run(mail.as_deref(), quick, form, &given.settings, &mut out)
        }
        Command::Healthcheck { ready, metrics } => {
            let asked =
                cli::healthcheck::run(ready, metrics, &given.settings, &mut std::io::stdout());
            return ended(asked.map_err(std::io::Error::other));
        }
        Command::Openapi => cli::openapi(&mut std::io::stdout()),
        Command::Completions { shell } => cli::completions(shell, &mut std::io::stdout()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => refuse(&why),
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("inkpot: {}", why.replace('\n', " "));
    ExitCode::from(REFUSED)
}

fn serve(settings: Settings, does_jobs: bool) -> ExitCode {
    spare_memory::give_back();
    let database = settings.database().redacted();
    let data_dir = settings.data_dir.display().to_string();
    let prepared = match server::prepare(settings, does_jobs) {
        Ok(prepared) => prepared,
        Err(why) => return refuse(&why),
    };
    let system = actix_web::rt::System::new();
    let bound = match system.block_on(async { server::bind(prepared) }) {
        Ok(bound) => bound,
        Err(why) => return refuse(&why),
    };
    println!("inkpot {}", env!("CARGO_PKG_VERSION"));
    println!("database {database}");
    println!("data in {data_dir}");
    if let Some((_, address)) = &bound.watched {
        println!("metrics at http://{address}/metrics");
    }
    println!("listening on http://{}", bound.address);
    ended(system.block_on(server::run(bound, args::service_manager())))
}

fn work(settings: Settings) -> ExitCode {
    spare_memory::give_back();
    let database = settings.database().redacted();
    let worker = match server::prepare_worker(settings) {
        Ok(worker) => worker,
        Err(why) => return refuse(&why),
    };
    let system = actix_web::rt::System::new();
    let signals = match system.block_on(async { server::Signals::listen() }) {
        Ok(signals) => signals,
        Err(why) => return refuse(&why.to_string()),
    };
    println!("inkpot {}", env!("CARGO_PKG_VERSION"));
    println!("database {database}");
    if let Some((_, address)) = &worker.watched {
        println!("metrics at http://{address}/metrics");
    }
    println!("taking jobs");
    let run = server::run_worker(worker, signals, args::service_manager());
    ended(system.block_on(run))
}

fn ended(outcome: std::io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("inkpot: {why}");
            ExitCode::FAILURE
        }
    }
}
