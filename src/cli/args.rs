//! The command line: what each subcommand takes, and the only reader of the environment.

// The docs of options are help texts, where Markdown shows as it is.
#![allow(clippy::doc_markdown)]

use std::ffi::OsString;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::core::settings::{Settings, nearest};
use crate::jobs::JobStatus;
use crate::server::ServiceManager;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "inkpot",
    version,
    about = "A multi-user blog back end: a JSON REST API with stateless tokens.",
    after_help = "Every option is also an environment variable, named beside it; the option wins.\n\
                  Exit codes: 0 stopped as asked, 1 failed at work, 2 refused to start."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub settings: Settings,
}

/// What to do; `serve` when nothing is said.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Serve the API and do jobs; migrates the database first (the default).
    Serve {
        /// Leave jobs, such as mails, to other processes: `inkpot worker`, or servers
        /// without this flag.
        #[arg(long)]
        no_jobs: bool,
    },
    /// Do jobs only: any number of workers, on any machine, beside any number of
    /// servers.
    Worker,
    /// Look at jobs, try them again, delete old ones.
    Jobs {
        #[command(subcommand)]
        action: JobsAction,
    },
    /// Look at, apply or take back migrations of the database.
    Migrate {
        #[command(subcommand)]
        action: MigrateAction,
    },
    /// Manage users; the server may run meanwhile.
    User {
        #[command(subcommand)]
        action: UserAction,
    },
    /// Look at, renew or retire the keys that sign tokens.
    Keys {
        #[command(subcommand)]
        action: KeysAction,
    },
    /// Compare the kept counts of posts and the index of the search with the posts.
    Check {
        /// Mend what does not agree; servers may run meanwhile.
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Look at configuration, database, Redis, mail, clock, files and public URL, and say what
    /// to do; it changes nothing.
    Doctor {
        /// Send a mail to this address.
        #[arg(long, value_name = "TO")]
        mail: Option<String>,
        /// Leave out what reads all posts.
        #[arg(long)]
        quick: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Ask the server of this machine how it is, for containers: exit code 0 when it is well, 1
    /// when not.
    Healthcheck {
        /// Whether it can do its work, not only whether it runs.
        #[arg(long)]
        ready: bool,
        /// Ask at INKPOT_METRICS_LISTEN, which workers have too.
        #[arg(long)]
        metrics: bool,
    },
    /// Print the OpenAPI description as YAML.
    Openapi,
    /// Print what completes this command line in a shell, as in:
    /// inkpot completions bash >~/.local/share/bash-completion/completions/inkpot
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// How what is shown is printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct Form {
    /// Print one JSON value, for programs: docs/running.md has its members.
    #[arg(long = "json")]
    pub is_json: bool,
}

/// What `inkpot migrate` can do.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum MigrateAction {
    /// List the migrations and whether the database has them.
    Status {
        #[command(flatten)]
        form: Form,
    },
    /// Apply what is missing.
    Run,
    /// Take the newest one back, WITH ALL DATA of its tables.
    Revert,
}

/// What `inkpot user` can do. ACCOUNT is an e-mail address, username, mobile
/// number or id.
#[derive(Debug, Clone, Subcommand)]
pub enum UserAction {
    /// Make a user; asks for the password, or reads it from standard input.
    Create {
        /// E-mail address.
        #[arg(long)]
        email: String,
        /// Name, shown with every post.
        #[arg(long)]
        name: String,
        /// Username.
        #[arg(long)]
        username: Option<String>,
        /// Mobile number.
        #[arg(long)]
        mobile: Option<String>,
        /// With the role admin.
        #[arg(long)]
        admin: bool,
    },
    /// List all users.
    List {
        #[command(flatten)]
        form: Form,
    },
    /// Give a user the role admin.
    Promote {
        /// E-mail address, username, mobile number or id.
        account: String,
    },
    /// Show what is known of a user.
    Show {
        /// E-mail address, username, mobile number or id.
        account: String,
        #[command(flatten)]
        form: Form,
    },
    /// Take the role admin from a user.
    Demote {
        /// E-mail address, username, mobile number or id.
        account: String,
    },
    /// Let a user who was deactivated log in again.
    Activate {
        /// E-mail address, username, mobile number or id.
        account: String,
    },
    /// Delete a user WITH ALL THEIR POSTS.
    Delete {
        /// E-mail address, username, mobile number or id.
        account: String,
    },
    /// Deactivate a user and end their sessions.
    Deactivate {
        /// E-mail address, username, mobile number or id.
        account: String,
    },
    /// Give a user a new password and end their sessions; asks for the password, or
    /// reads it from standard input.
    SetPassword {
        /// E-mail address, username, mobile number or id.
        account: String,
    },
}

/// What `inkpot keys` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysAction {
    /// List the keys and what they are used for.
    List {
        #[command(flatten)]
        form: Form,
    },
    /// Make a new key, which is published at once and signs after INKPOT_KEY_LEAD; the
    /// former ones verify until their tokens are gone.
    Rotate {
        /// Sign with it in two seconds: others who keep the public keys refuse its tokens
        /// until they look again.
        #[arg(long)]
        now: bool,
    },
    /// Stop signing with a key; it verifies until its tokens are gone.
    Retire {
        /// Which one, as listed.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

/// What `inkpot jobs` can do.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum JobsAction {
    /// List jobs, newest first.
    List {
        /// Of this state only.
        #[arg(long)]
        state: Option<JobState>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        #[command(flatten)]
        form: Form,
    },
    /// Try a job again that is dead or waits; without an id, all dead jobs.
    Retry {
        /// Which one, as listed.
        job_id: Option<i64>,
    },
    /// Delete jobs that have ended. Done jobs go by themselves after a week, dead ones
    /// after 90 days.
    Purge {
        /// Of this state.
        #[arg(long, default_value = "done")]
        state: EndedState,
        /// Only those that ended so many days ago.
        #[arg(long, default_value_t = 0, value_name = "DAYS")]
        older_than_days: u32,
    },
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JobState {
    Waiting,
    Running,
    Done,
    Dead,
}

impl From<JobState> for JobStatus {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Waiting => Self::Waiting,
            JobState::Running => Self::Running,
            JobState::Done => Self::Done,
            JobState::Dead => Self::Dead,
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EndedState {
    Done,
    Dead,
}

impl From<EndedState> for JobStatus {
    fn from(state: EndedState) -> Self {
        match state {
            EndedState::Done => Self::Done,
            EndedState::Dead => Self::Dead,
        }
    }
}

/// Why the program does not start: one line, or the help that was asked for.
pub enum Refusal {
    /// `--help`, `--version`: printed, and the program ends well.
    Help(clap::Error),
    /// What is wrong and where, without secrets.
    Line(String),
}

/// Reads the command line and the environment.
#[expect(clippy::disallowed_methods, reason = "the one reader of both")]
pub fn read() -> Result<Cli, Refusal> {
    read_from(std::env::args_os(), std::env::vars_os())
}

/// The service manager that has started this process, if there is one.
#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the environment"
)]
pub fn service_manager() -> ServiceManager {
    let process = std::process::id().to_string();
    // A watchdog may be another process's.
    let is_ours = std::env::var_os("WATCHDOG_PID").is_none_or(|pid| *pid == *process);
    let watchdog = std::env::var_os("WATCHDOG_USEC").filter(|_| is_ours);
    let socket = std::env::var_os("NOTIFY_SOCKET");
    ServiceManager::new(socket.as_deref(), watchdog.as_deref())
}

/// What whoever looks at a database needs.
const OF_DATABASE: [&str; 5] = ["database_url", "data_dir", "db_pool", "log", "log_format"];

/// Whether the help of a subcommand shows a setting: whether it makes a difference there.
/// All are taken, since all may be variables of one environment.
fn shows(subcommand: &str, setting: &str) -> bool {
    match subcommand {
        "serve" | "doctor" => true,
        "healthcheck" => ["listen", "metrics_listen", "log", "log_format"].contains(&setting),
        "worker" => ![
            "listen",
            "cors_origins",
            "trusted_proxies",
            "proxy_header",
            "rate_limits",
            "cache_mb",
            "stale_if_error",
            "workers",
        ]
        .contains(&setting),
        "openapi" | "completions" => ["log", "log_format"].contains(&setting),
        "user" => setting == "bcrypt_cost" || OF_DATABASE.contains(&setting),
        "keys" => {
            [
                "jwt_secret",
                "jwt_secret_file",
                "jwt_alg",
                "token_ttl",
                "key_lead",
            ]
            .contains(&setting)
                || OF_DATABASE.contains(&setting)
        }
        _ => OF_DATABASE.contains(&setting),
    }
}

/// Hides in the help of each subcommand the settings that it does not show.
fn hide_unused(command: clap::Command) -> clap::Command {
    let settings: Vec<clap::Arg> = (command.get_arguments())
        .filter(|arg| arg.is_global_set())
        .cloned()
        .collect();
    command.mut_subcommands(|subcommand| {
        let name = subcommand.get_name().to_owned();
        let hidden = (settings.iter())
            .filter(|arg| !shows(&name, arg.get_id().as_str()))
            .map(|arg| arg.clone().hide(true));
        // What a subcommand has already is not given to it once more.
        hidden.fold(subcommand, clap::Command::arg)
    })
}

/// The name of no variable: none has the sign in it that ends names.
const NO_VARIABLE: &str = "=";

/// Refuses a variable that looks like a setting and is none: a slip would pass silently.
fn check_names(command: &clap::Command, variables: &[(OsString, OsString)]) -> Result<(), String> {
    let known: Vec<&str> = command
        .get_arguments()
        .filter_map(|arg| arg.get_env()?.to_str())
        .collect();
    for (name, _) in variables {
        let name = name.to_string_lossy();
        let is_passed_over = !name.starts_with("INKPOT_")
            // These belong to the test suite.
            || name.starts_with("INKPOT_TEST_")
            // What an orchestrator tells of a service that is called inkpot.
            || name == "INKPOT_SERVICE_HOST"
            || name.starts_with("INKPOT_SERVICE_PORT")
            || name == "INKPOT_PORT"
            || name.starts_with("INKPOT_PORT_");
        if is_passed_over || known.contains(&name.as_ref()) {
            continue;
        }
        let hint = nearest(&name, known.iter().copied())
            .map_or(String::new(), |near| format!("; did you mean {near}?"));
        return Err(format!(
            "unknown setting {name}; inkpot --help lists all{hint}"
        ));
    }
    Ok(())
}

/// The command line for shells, which offer what is hidden: each subcommand has the settings
/// that it shows, and no others.
pub fn described() -> clap::Command {
    let command = Cli::command();
    let settings: Vec<clap::Arg> = (command.get_arguments())
        .filter(|arg| arg.is_global_set())
        .map(|arg| arg.clone().global(false))
        .collect();
    let command = command.mut_args(|arg| arg.global(false));
    command.mut_subcommands(|subcommand| {
        let name = subcommand.get_name().to_owned();
        let shown = settings
            .iter()
            .filter(|arg| shows(&name, arg.get_id().as_str()));
        let shown: Vec<clap::Arg> = shown.cloned().collect();
        subcommand
            .args(&shown)
            .mut_subcommands(|action| action.args(&shown))
    })
}

fn read_from(
    args: impl Iterator<Item = OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Cli, Refusal> {
    let variables: Vec<(OsString, OsString)> = variables.collect();
    let mut command = Cli::command();
    check_names(&command, &variables).map_err(Refusal::Line)?;
    // An empty variable is one that is not set, as compose files and shells have them.
    for (name, _) in variables.iter().filter(|(_, value)| value.is_empty()) {
        let empty = command
            .get_arguments()
            .find(|arg| arg.get_env() == Some(name))
            .map(|arg| arg.get_id().clone());
        if let Some(id) = empty {
            command = command.mut_arg(id, |arg| arg.env(NO_VARIABLE).hide_env(true));
        }
    }
    let matches = hide_unused(command)
        .try_get_matches_from(args)
        .map_err(refusal)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(refusal)?;
    cli.settings.complete().map_err(Refusal::Line)?;
    Ok(cli)
}

/// clap explains over several lines; a start that is refused says it in one. The
/// value itself is left out, since it may be a secret.
fn refusal(error: clap::Error) -> Refusal {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return Refusal::Help(error);
    }
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => Some(option.clone()),
        _ => None,
    };
    let why = std::error::Error::source(&error).map(ToString::to_string);
    let line = match (error.kind(), option, why) {
        (ErrorKind::ValueValidation, Some(option), Some(why)) => {
            format!("bad value for {}: {why}", setting_name(&option))
        }
        (ErrorKind::InvalidValue, Some(option), _) => {
            let choices = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(choices)) => choices.join(", "),
                _ => "another value".to_owned(),
            };
            format!(
                "bad value for {}: expected {choices}",
                setting_name(&option)
            )
        }
        (ErrorKind::MissingRequiredArgument, ..) => {
            let missing = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(missing)) => missing.join(", "),
                _ => "an argument".to_owned(),
            };
            format!("{missing} is missing; --help says more")
        }
        _ => error
            .render()
            .to_string()
            .lines()
            .next()
            .unwrap_or("bad command line")
            .trim_start_matches("error: ")
            .to_owned(),
    };
    Refusal::Line(line + &hint(&error))
}

/// What was probably meant, as far as clap knows.
fn hint(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ContextValue};
    let kinds = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ];
    let near = kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(one) => Some(one.as_str()),
        // The likeliest stands last.
        ContextValue::Strings(some) => some.last().map(String::as_str),
        _ => None,
    });
    near.map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// `--listen <ADDRESS>` as `INKPOT_LISTEN (--listen)`.
fn setting_name(option: &str) -> String {
    let long = option
        .trim_start_matches('-')
        .split([' ', '='])
        .next()
        .unwrap_or(option);
    Cli::command()
        .get_arguments()
        .find(|arg| arg.get_long() == Some(long))
        .and_then(|arg| arg.get_env())
        .map_or_else(
            || option.to_owned(),
            |env| format!("{} (--{long})", env.to_string_lossy()),
        )
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
