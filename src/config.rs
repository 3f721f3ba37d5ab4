//! Every setting, and the only reader of the environment.

// The docs of options are help texts, where Markdown shows as it is.
#![allow(clippy::doc_markdown)]

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::accounts::sessions::Lifetimes;
use crate::db::DatabaseUrl;
use crate::http::client_address;
use crate::http::public_url::PublicUrl;
use crate::jobs::State;
use crate::notify::settings::{Authorities, MailFrom, SmsToken, SmsUrl, SmtpUrl};
use crate::redis_url::RedisUrl;

/// Reads that many bytes into memory for one post: `MEDIUMTEXT` ends at 16 MiB − 1.
const MAX_CONTENT_LIMIT: u64 = 15 * 1024 * 1024;

/// No token lives longer, whatever the setting.
pub const MAX_TOKEN_TTL: u32 = 86_400;

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
    /// Look at jobs, have them tried again, delete old ones.
    Jobs {
        #[command(subcommand)]
        action: JobsAction,
    },
    /// Look at, apply or take back migrations of the database.
    Migrate {
        #[command(subcommand)]
        action: MigrateAction,
    },
    /// Manage users; a running server need not be stopped.
    User {
        #[command(subcommand)]
        action: UserAction,
    },
    /// Look at, renew or retire the keys that sign tokens.
    Keys {
        #[command(subcommand)]
        action: KeysAction,
    },
    /// Check that counts of posts and what the search finds agree with the posts.
    Check {
        /// Mend what does not agree, beside running servers.
        #[arg(long)]
        repair: bool,
    },
    /// Print the OpenAPI description as YAML.
    Openapi,
}

/// What `inkpot migrate` can do.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum MigrateAction {
    /// List the migrations and whether the database has them.
    Status,
    /// Apply what is missing.
    Run,
    /// Take the newest one back, WITH ALL DATA of its tables.
    Revert,
}

/// What `inkpot user` can do. ACCOUNT is an e-mail address, username, mobile
/// number or id.
#[derive(Debug, Clone, Subcommand)]
pub enum UserAction {
    /// Make a user; the password is asked for, or read from standard input.
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
    List,
    /// Give a user the role admin.
    Promote {
        /// E-mail address, username, mobile number or id.
        account: String,
    },
    /// Deactivate a user and end their sessions.
    Deactivate {
        /// E-mail address, username, mobile number or id.
        account: String,
    },
    /// Give a user a new password and end their sessions; it is asked for, or read
    /// from standard input.
    SetPassword {
        /// E-mail address, username, mobile number or id.
        account: String,
    },
}

/// What `inkpot keys` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysAction {
    /// List the keys and what they are used for.
    List,
    /// Make a new key, which signs in two seconds; the former ones verify until
    /// their tokens are gone.
    Rotate,
    /// Sign no longer with a key; it verifies until its tokens are gone.
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
    },
    /// Have a job tried again that is dead or waits; without an id all that are dead.
    Retry {
        /// Which one, as listed.
        job_id: Option<i64>,
    },
    /// Delete jobs that have ended. Those that are done are deleted after a week
    /// anyway, dead ones after 90 days.
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

impl From<JobState> for State {
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

impl From<EndedState> for State {
    fn from(state: EndedState) -> Self {
        match state {
            EndedState::Done => Self::Done,
            EndedState::Dead => Self::Dead,
        }
    }
}

/// How tokens are signed, by its name in their header (RFC 7518 §3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JwtAlg {
    /// HMAC: who can verify can sign.
    #[value(name = "HS256")]
    Hs256,
    /// ECDSA on P-256.
    #[value(name = "ES256")]
    Es256,
    /// Ed25519.
    #[value(name = "EdDSA")]
    EdDsa,
}

impl JwtAlg {
    /// As in a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that very name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Hs256, Self::Es256, Self::EdDsa]
            .into_iter()
            .find(|alg| alg.name() == name)
    }
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is done.
    On,
    /// It is left out.
    Off,
}

/// Every setting. `Debug` shows no secret.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Where the data is: sqlite:PATH or mysql://user:password@host:port/database.
    /// For TLS add ?require_ssl=true, and &ssl_ca=PATH for a private authority
    /// [default: sqlite:inkpot.db in the data directory]
    #[arg(long, env = "DATABASE_URL", global = true, value_name = "URL", hide_env_values = true,
          value_parser = optional(DatabaseUrl::parse))]
    database_url: Option<Given<DatabaseUrl>>,

    /// Redis that several processes share their limits through:
    /// redis://user:password@host:port/0, or rediss://… for TLS; while it is away, each
    /// process goes by itself
    /// [default: none]
    #[arg(long, env = "REDIS_URL", global = true, value_name = "URL", hide_env_values = true,
          value_parser = optional(RedisUrl::parse))]
    redis_url: Option<Given<RedisUrl>>,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "INKPOT_LISTEN",
        global = true,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,

    /// Where the world reaches the server, for the links in feeds: http or https, host,
    /// port, perhaps a path
    /// [default: http:// and the address it listens on]
    #[arg(long, env = "INKPOT_PUBLIC_URL", global = true, value_name = "URL", hide_env_values = true,
          value_parser = PublicUrl::parse)]
    pub public_url: Option<PublicUrl>,

    /// Directory of the embedded database and of the generated secret
    #[arg(
        long,
        env = "INKPOT_DATA_DIR",
        global = true,
        value_name = "PATH",
        default_value = "./data"
    )]
    pub data_dir: PathBuf,

    /// Secret that signs tokens and encrypts their keys, at least 32 bytes; several
    /// separated by commas: the first is used, all are understood. Must be given with
    /// MySQL
    /// [default: made on the first run, kept in the data directory]
    #[arg(long, env = "INKPOT_JWT_SECRET", global = true, value_name = "SECRET", hide_env_values = true,
          value_parser = secrets)]
    pub jwt_secret: Option<Secrets>,

    /// How tokens are signed; with ES256 and EdDSA anyone can verify them by
    /// /.well-known/jwks.json
    #[arg(
        long,
        env = "INKPOT_JWT_ALG",
        global = true,
        value_name = "ALGORITHM",
        default_value = "HS256"
    )]
    pub jwt_alg: JwtAlg,

    /// Seconds that a token lives
    #[arg(long, env = "INKPOT_TOKEN_TTL", global = true, value_name = "SECONDS", default_value_t = 3600,
          value_parser = clap::value_parser!(u32).range(60..=i64::from(MAX_TOKEN_TTL)))]
    pub token_ttl: u32,

    /// Seconds that a session lasts from its last refresh
    #[arg(long, env = "INKPOT_SESSION_TTL", global = true, value_name = "SECONDS", default_value_t = 28_800,
          value_parser = clap::value_parser!(u32).range(60..=31_536_000))]
    pub session_ttl: u32,

    /// Seconds that a remembered session lasts from its last refresh
    #[arg(long, env = "INKPOT_REMEMBER_TTL", global = true, value_name = "SECONDS", default_value_t = 1_209_600,
          value_parser = clap::value_parser!(u32).range(60..=31_536_000))]
    pub remember_ttl: u32,

    /// Work factor of bcrypt, 4 to 31; each step doubles the time of a login
    #[arg(long, env = "INKPOT_BCRYPT_COST", global = true, value_name = "COST", default_value_t = 12,
          value_parser = clap::value_parser!(u32).range(4..=31))]
    pub bcrypt_cost: u32,

    /// Largest content of a post in bytes
    #[arg(long, env = "INKPOT_MAX_CONTENT", global = true, value_name = "BYTES", default_value_t = 1_048_576,
          value_parser = clap::value_parser!(u64).range(1..=MAX_CONTENT_LIMIT))]
    pub max_content: u64,

    /// Server that takes mails: smtps://user:password@host, or smtp://… for STARTTLS,
    /// which is required except on this machine; ?tls=required, opportunistic or none
    /// says otherwise
    /// [default: none; mails are files in the directory outbox of the data directory]
    #[arg(long, env = "INKPOT_SMTP_URL", global = true, value_name = "URL", hide_env_values = true,
          value_parser = optional(SmtpUrl::parse))]
    smtp_url: Option<Given<SmtpUrl>>,

    /// Who mails are from, as in: Inkpot <blog@example.org>. Must be given with
    /// INKPOT_SMTP_URL; the mails that are files are from Inkpot <inkpot@localhost>
    /// without it
    #[arg(long, env = "INKPOT_MAIL_FROM", global = true, value_name = "SENDER",
          value_parser = optional(MailFrom::parse))]
    mail_from: Option<Given<MailFrom>>,

    /// Gateway that takes text messages: each is a POST of {"to": "+31…", "text": "…"}
    /// [default: none; they are files in the directory outbox of the data directory]
    #[arg(long, env = "INKPOT_SMS_URL", global = true, value_name = "URL", hide_env_values = true,
          value_parser = optional(SmsUrl::parse))]
    sms_url: Option<Given<SmsUrl>>,

    /// Token that the gateway gets, as Authorization: Bearer TOKEN
    #[arg(long, env = "INKPOT_SMS_TOKEN", global = true, value_name = "TOKEN", hide_env_values = true,
          value_parser = optional(SmsToken::parse))]
    sms_token: Option<Given<SmsToken>>,

    /// PEM file of further authorities that the servers for mails and text messages and
    /// Redis may be certified by
    #[arg(long, env = "INKPOT_CA_FILE", global = true, value_name = "PATH",
          value_parser = optional(|path| Authorities::load(path.as_ref())))]
    ca_file: Option<Given<Authorities>>,

    /// Origins whose pages may call the API with credentials, separated by commas
    /// [default: none; any page may read without credentials]
    #[arg(long, env = "INKPOT_CORS_ORIGINS", global = true, value_name = "ORIGINS",
          value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<String>,

    /// Proxies in front of the server, as addresses or networks (10.0.0.0/8), separated
    /// by commas: whom they name in Forwarded or X-Forwarded-For is the client
    /// [default: none; the client is who connects]
    #[arg(long, env = "INKPOT_TRUSTED_PROXIES", global = true, value_name = "NETWORKS",
          value_delimiter = ',', value_parser = client_address::network)]
    pub trusted_proxies: Vec<IpNet>,

    /// Limits of tries by address and by account; off is for load tests
    #[arg(
        long,
        env = "INKPOT_RATE_LIMITS",
        global = true,
        value_name = "SWITCH",
        default_value = "on"
    )]
    pub rate_limits: Switch,

    /// Megabytes of memory for finished answers: posts, lists and feeds as bytes, with
    /// their compressed forms; 0 keeps none
    #[arg(long, env = "INKPOT_CACHE_MB", global = true, value_name = "MB", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    pub cache_mb: u32,

    /// Threads that serve HTTP [default: one a processor]
    #[arg(long, env = "INKPOT_WORKERS", global = true, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,

    /// Connections to the database
    #[arg(long, env = "INKPOT_DB_POOL", global = true, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub db_pool: u32,

    /// What is logged: off, error, warn, info, debug, trace, or directives such as
    /// info,inkpot::db=debug
    #[arg(long, env = "INKPOT_LOG", global = true, value_name = "FILTER", default_value = "info",
          value_parser = log_filter)]
    pub log: String,

    /// Format of the log on standard error
    #[arg(
        long,
        env = "INKPOT_LOG_FORMAT",
        global = true,
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

impl Settings {
    /// Where the data is, the default filled in.
    pub fn database(&self) -> DatabaseUrl {
        self.database_url
            .clone()
            .and_then(|url| url.0)
            .unwrap_or_else(|| DatabaseUrl::Sqlite(self.data_dir.join("inkpot.db")))
    }

    /// The Redis that processes share.
    pub fn redis_url(&self) -> Option<&RedisUrl> {
        self.redis_url.as_ref()?.0.as_ref()
    }

    /// The server that takes mails.
    pub fn smtp_url(&self) -> Option<&SmtpUrl> {
        self.smtp_url.as_ref()?.0.as_ref()
    }

    /// Who mails are from, the default filled in.
    pub fn mail_from(&self) -> MailFrom {
        self.mail_from
            .clone()
            .and_then(|from| from.0)
            .unwrap_or_default()
    }

    /// The gateway that takes text messages.
    pub fn sms_url(&self) -> Option<&SmsUrl> {
        self.sms_url.as_ref()?.0.as_ref()
    }

    /// What the gateway knows us by.
    pub fn sms_token(&self) -> Option<&SmsToken> {
        self.sms_token.as_ref()?.0.as_ref()
    }

    /// Further authorities for mails and text messages.
    pub fn authorities(&self) -> Option<&Authorities> {
        self.ca_file.as_ref()?.0.as_ref()
    }

    /// Has every service by TLS know the further authorities whose setting is a URL.
    fn trust_authorities(&mut self) {
        let (Some(Given(redis_url)), Some(authorities)) = (
            &mut self.redis_url,
            self.ca_file.as_ref().and_then(|file| file.0.clone()),
        ) else {
            return;
        };
        *redis_url = redis_url.take().map(|url| url.trusting(authorities));
    }

    /// How long sessions last.
    pub fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            plain: chrono::Duration::seconds(i64::from(self.session_ttl)),
            remembered: chrono::Duration::seconds(i64::from(self.remember_ttl)),
        }
    }

    /// Threads that serve HTTP, the default filled in.
    pub fn worker_threads(&self) -> usize {
        self.workers.map_or_else(processors, usize::from)
    }
}

/// Processors that this process may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A setting that is not given when it is empty, as compose files set it.
#[derive(Debug, Clone)]
struct Given<T>(Option<T>);

/// Reads such a setting.
fn optional<T: Clone + Send + Sync + 'static>(
    parse: impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<Given<T>, String> + Clone + Send + Sync + 'static {
    move |text| match text {
        "" => Ok(Given(None)),
        text => parse(text).map(|value| Given(Some(value))),
    }
}

/// One or more secrets; the first is used, all are understood.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets(pub Vec<Vec<u8>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secret(s)", self.0.len())
    }
}

/// Refuses secrets that can be guessed: an HS256 key has at least as many bits as
/// its hash (RFC 7518 §3.2), and one that repeats a few characters has not.
pub fn check_secret(secret: &[u8]) -> Result<(), String> {
    if secret.len() < 32 {
        return Err(format!(
            "a secret needs at least 32 bytes, this one has {}",
            secret.len()
        ));
    }
    let mut seen = [false; 256];
    for byte in secret {
        seen[usize::from(*byte)] = true;
    }
    if seen.iter().filter(|s| **s).count() < 10 {
        return Err("the secret is too uniform; make one with: openssl rand -base64 48".to_owned());
    }
    Ok(())
}

fn secrets(text: &str) -> Result<Secrets, String> {
    let all: Vec<Vec<u8>> = text
        .split(',')
        .map(|s| s.trim().as_bytes().to_vec())
        .collect();
    all.iter().try_for_each(|s| check_secret(s))?;
    Ok(Secrets(all))
}

/// An origin as browsers send it (RFC 6454 §6.1): scheme, host, port, nothing else.
fn origin(text: &str) -> Result<String, String> {
    let text = text.trim();
    match url::Url::parse(text) {
        Ok(url) if url.origin().ascii_serialization() == text => Ok(text.to_owned()),
        _ => Err("an origin looks like https://blog.example.org".to_owned()),
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::builder()
        .parse(text)
        .map(|_| text.to_owned())
        .map_err(|e| e.to_string())
}

/// Why the program does not start: one line, or the help that was asked for.
pub enum Refusal {
    /// `--help`, `--version`: printed, and the program ends well.
    Help(clap::Error),
    /// What is wrong and where, without secrets.
    Line(String),
}

/// Reads the command line and the environment.
pub fn read() -> Result<Cli, Refusal> {
    read_from(
        std::env::args_os(),
        std::env::vars_os().map(|(name, _)| name),
    )
}

fn read_from(
    args: impl Iterator<Item = std::ffi::OsString>,
    variables: impl Iterator<Item = std::ffi::OsString>,
) -> Result<Cli, Refusal> {
    let mut cli = Cli::try_parse_from(args).map_err(refusal)?;
    let command = <Cli as clap::CommandFactory>::command();
    for name in variables {
        let name = name.to_string_lossy();
        let known = command
            .get_arguments()
            .any(|arg| arg.get_env().is_some_and(|env| env == name.as_ref()));
        // INKPOT_TEST_… belong to the test suite.
        if name.starts_with("INKPOT_") && !name.starts_with("INKPOT_TEST_") && !known {
            return Err(Refusal::Line(format!(
                "unknown setting {name}; inkpot --help lists all"
            )));
        }
    }
    // A token is not asked again whether its session has expired.
    let settings = &cli.settings;
    for (name, ttl) in [
        ("INKPOT_SESSION_TTL", settings.session_ttl),
        ("INKPOT_REMEMBER_TTL", settings.remember_ttl),
    ] {
        if ttl < settings.token_ttl {
            return Err(Refusal::Line(format!(
                "bad value for {name}: a session lasts at least as long as a token, \
                 INKPOT_TOKEN_TTL is {}",
                settings.token_ttl
            )));
        }
    }
    cli.settings.trust_authorities();
    let settings = &cli.settings;
    let has_sender = matches!(settings.mail_from, Some(Given(Some(_))));
    if settings.smtp_url().is_some() && !has_sender {
        return Err(Refusal::Line(
            "INKPOT_MAIL_FROM must be given with INKPOT_SMTP_URL, as in: \
             Inkpot <blog@example.org>"
                .to_owned(),
        ));
    }
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
    Refusal::Line(line)
}

/// `--listen <ADDRESS>` as `INKPOT_LISTEN (--listen)`.
fn setting_name(option: &str) -> String {
    let long = option
        .trim_start_matches('-')
        .split([' ', '='])
        .next()
        .unwrap_or(option);
    <Cli as clap::CommandFactory>::command()
        .get_arguments()
        .find(|arg| arg.get_long() == Some(long))
        .and_then(|arg| arg.get_env())
        .map_or_else(
            || option.to_owned(),
            |env| format!("{} (--{long})", env.to_string_lossy()),
        )
}
