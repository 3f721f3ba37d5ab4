//! Every setting: its name, its default, what it may be.

// The docs of options are help texts, where Markdown shows as it is.
#![allow(clippy::doc_markdown)]

pub mod blog;
pub mod messages;
pub mod post_url;
pub mod public_url;
pub mod trusted_proxies;

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use clap::{Args, ValueEnum};
use ipnet::IpNet;

use crate::core::db::DatabaseUrl;
use crate::core::redis::url::RedisUrl;
use crate::core::tls_roots::Authorities;
use blog::BlogSettings;
use messages::{MailFrom, SmsToken, SmsUrl, SmtpUrl};
use post_url::PostUrl;
use public_url::PublicUrl;

/// Reads that many bytes into memory for one post: `MEDIUMTEXT` ends at 16 MiB − 1.
const MAX_CONTENT_LIMIT: u64 = 15 * 1024 * 1024;

/// Seconds; no session lasts longer without a refresh.
const DAY: u32 = 86_400;
const YEAR: u32 = 365 * DAY;

/// No token lives longer, whatever the setting.
pub const MAX_TOKEN_TTL: u32 = 86_400;

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

/// The header in which a proxy names the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProxyHeader {
    /// RFC 7239.
    Forwarded,
    /// A list, to which each proxy adds at its end.
    XForwardedFor,
    /// One address.
    XRealIp,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is done.
    On,
    /// It is left out.
    Off,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Registration {
    /// Anyone, for themselves.
    Open,
    /// Admins, and whoever runs the server, for others.
    Closed,
}

/// How long sessions last from their last refresh.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    pub plain: chrono::Duration,
    pub remembered: chrono::Duration,
    /// From the login on, however often it is refreshed.
    pub longest: chrono::Duration,
    /// Of a token, which ends with its session at the latest.
    pub token: chrono::Duration,
}

impl Lifetimes {
    /// When a session ends that was opened at `created`, is used now and not again; `None`
    /// when what is left of it is too short for another token.
    pub fn end(
        &self,
        remembered: bool,
        created: NaiveDateTime,
        now: NaiveDateTime,
    ) -> Option<NaiveDateTime> {
        let end = created + self.longest;
        let unused = if remembered {
            self.remembered
        } else {
            self.plain
        };
        (now + self.token <= end).then(|| (now + unused).min(end))
    }
}

/// How many messages may be sent, which cost money and patience.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// Whether any of the limits holds, those of one target and one account included.
    pub is_on: bool,
    /// Of the whole installation.
    pub mails_a_day: u32,
    /// Of the whole installation.
    pub texts_a_day: u32,
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

    /// Replica of the database, mysql://… as DATABASE_URL: what anybody may read and is not in
    /// memory is read there, as long as it is new enough. For MySQL and MariaDB
    /// [default: none]
    #[arg(long, env = "DATABASE_READ_URL", global = true, value_name = "URL", hide_env_values = true,
          value_parser = optional(DatabaseUrl::parse))]
    database_read_url: Option<Given<DatabaseUrl>>,

    /// How old what a replica has may be, such as 2s: seconds, or a number with s, m, h or d
    #[arg(long, env = "INKPOT_READ_STALENESS", global = true, value_name = "TIME", default_value_t = 2,
          value_parser = seconds(2, 60))]
    pub read_staleness: u32,

    /// Redis through which several processes hear of changes and share their limits:
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
        default_value = "127.0.0.1:8080",
        value_parser = listen
    )]
    pub listen: SocketAddr,

    /// Address and port for those who watch: /metrics for Prometheus, /livez and /readyz. What
    /// they learn is not for the world
    /// [default: none]
    #[arg(long, env = "INKPOT_METRICS_LISTEN", global = true, value_name = "ADDRESS",
          value_parser = optional(listen))]
    metrics_listen: Option<Given<SocketAddr>>,

    /// Where the world reaches the server, for the links in feeds, mails and answers: http or
    /// https, host, port, perhaps a path
    /// [default: http:// and the address it listens on]
    #[arg(long, env = "INKPOT_PUBLIC_URL", global = true, value_name = "URL", hide_env_values = true,
          value_parser = PublicUrl::parse)]
    pub public_url: Option<PublicUrl>,

    #[command(flatten)]
    pub blog: BlogSettings,

    /// Directory of the embedded database and of the generated secret
    #[arg(
        long,
        env = "INKPOT_DATA_DIR",
        global = true,
        value_name = "PATH",
        default_value = "./data"
    )]
    pub data_dir: PathBuf,

    /// Secret that signs tokens and encrypts their keys, at least 32 bytes. Of several,
    /// separated by commas, the first is used and all are understood. Must be given with
    /// MySQL
    /// [default: made on the first run, kept in the data directory]
    #[arg(long, env = "INKPOT_JWT_SECRET", global = true, value_name = "SECRET", hide_env_values = true,
          value_parser = secrets)]
    pub jwt_secret: Option<Secrets>,

    /// File with that secret, as service managers and containers hand secrets over
    /// [default: none]
    #[arg(long, env = "INKPOT_JWT_SECRET_FILE", global = true, value_name = "PATH",
          value_parser = optional(|path| Ok(PathBuf::from(path))))]
    jwt_secret_file: Option<Given<PathBuf>>,

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

    /// How long a new key is published before it signs: seconds, or a number with s, m, h or d
    #[arg(long, env = "INKPOT_KEY_LEAD", global = true, value_name = "TIME", default_value_t = 600,
          value_parser = seconds(2, DAY))]
    pub key_lead: u32,

    /// How long a token lives: seconds, or a number with s, m, h or d
    #[arg(long, env = "INKPOT_TOKEN_TTL", global = true, value_name = "TIME", default_value_t = 3600,
          value_parser = seconds(60, MAX_TOKEN_TTL))]
    pub token_ttl: u32,

    /// How long a session lasts from its last refresh: seconds, or a number with s, m, h or d
    #[arg(long, env = "INKPOT_SESSION_TTL", global = true, value_name = "TIME", default_value_t = 28_800,
          value_parser = seconds(60, YEAR))]
    pub session_ttl: u32,

    /// How long a remembered session lasts from its last refresh: seconds, or a number with
    /// s, m, h or d
    #[arg(long, env = "INKPOT_REMEMBER_TTL", global = true, value_name = "TIME", default_value_t = 1_209_600,
          value_parser = seconds(60, YEAR))]
    pub remember_ttl: u32,

    /// How long a session lasts from its login, however often it is refreshed: seconds, or a
    /// number with s, m, h or d
    #[arg(long, env = "INKPOT_SESSION_MAX", global = true, value_name = "TIME", default_value_t = YEAR,
          value_parser = seconds(60, 10 * YEAR))]
    pub session_max: u32,

    /// How long the audit keeps IP addresses: seconds, or a number with s, m, h or d
    #[arg(long, env = "INKPOT_AUDIT_ADDRESSES", global = true, value_name = "TIME", default_value_t = YEAR,
          value_parser = seconds(0, 10 * YEAR))]
    pub audit_addresses: u32,

    /// Whether anyone may register; closed leaves it to admins to create users
    #[arg(
        long,
        env = "INKPOT_REGISTRATION",
        global = true,
        value_name = "WHO",
        default_value = "open"
    )]
    pub registration: Registration,

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

    /// Mails that are sent in a day at most, whoever asks for them: codes and notices
    #[arg(long, env = "INKPOT_MAILS_A_DAY", global = true, value_name = "N", default_value_t = 2000,
          value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub mails_a_day: u32,

    /// Text messages that are sent in a day at most, whoever asks for them
    #[arg(long, env = "INKPOT_SMS_A_DAY", global = true, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub sms_a_day: u32,

    /// PEM file of further certificate authorities, for the servers of mails and text
    /// messages and for Redis
    #[arg(long, env = "INKPOT_CA_FILE", global = true, value_name = "PATH",
          value_parser = optional(|path| Authorities::load(path.as_ref())))]
    ca_file: Option<Given<Authorities>>,

    /// Origins whose pages may call the API with credentials, separated by commas
    /// [default: none; any page may read without credentials]
    #[arg(long, env = "INKPOT_CORS_ORIGINS", global = true, value_name = "ORIGINS",
          value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<String>,

    /// Proxies in front of the server, as addresses or networks (10.0.0.0/8), separated
    /// by commas: the client is whom they name in Forwarded or X-Forwarded-For
    /// [default: none; the client is who connects]
    #[arg(long, env = "INKPOT_TRUSTED_PROXIES", global = true, value_name = "NETWORKS",
          value_delimiter = ',', value_parser = trusted_proxies::network)]
    pub trusted_proxies: Vec<IpNet>,

    /// The one header in which those proxies name the client; they pass the other ones on
    /// as the client forged them
    /// [default: Forwarded and X-Forwarded-For; where the two differ, neither counts]
    #[arg(
        long,
        env = "INKPOT_PROXY_HEADER",
        global = true,
        value_name = "HEADER"
    )]
    pub proxy_header: Option<ProxyHeader>,

    /// Limits of tries and of messages; off is for load tests
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

    /// How old a kept answer may be that is served while the database is away, such as 60s
    /// or 10m; with 0 none is
    #[arg(long, env = "INKPOT_STALE_IF_ERROR", global = true, value_name = "TIME",
          default_value_t = 60, value_parser = seconds(0, 86_400))]
    pub stale_if_error: u32,

    /// Threads that serve HTTP [default: one a processor]
    #[arg(long, env = "INKPOT_WORKERS", global = true, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,

    /// Connections to the database for reads; as many again for writes on MySQL, a quarter
    /// for searches, and two for what the server itself needs
    #[arg(long, env = "INKPOT_DB_POOL", global = true, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub db_pool: u32,

    /// How long a server or worker that starts waits for a database that is away, such as
    /// 30s or 5m; with 0 it does not wait
    #[arg(long, env = "INKPOT_DB_WAIT", global = true, value_name = "TIME", default_value_t = 30,
          value_parser = seconds(0, 86_400))]
    pub db_wait: u32,

    /// What is logged: off, error, warn, info, debug, trace, or directives such as
    /// info,inkpot::core::db=debug
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

    /// The replica that is read from.
    pub fn database_to_read(&self) -> Option<&DatabaseUrl> {
        self.database_read_url.as_ref()?.0.as_ref()
    }

    /// The same for a process that serves nobody: it has no use for a replica.
    pub fn without_replica(&mut self) {
        self.database_read_url = None;
    }

    /// The path under which the world reaches the server, without a trailing slash.
    pub fn base_path(&self) -> &str {
        self.public_url.as_ref().map_or("", PublicUrl::path)
    }

    /// Where those who watch connect.
    pub fn metrics_listen(&self) -> Option<SocketAddr> {
        self.metrics_listen.as_ref()?.0
    }

    /// Where people read posts of a server with this public URL: where it is said, or else on the
    /// page, if there is one.
    pub fn post_url(&self, public: &PublicUrl) -> Option<PostUrl> {
        let own_page = || (self.blog.page == Switch::On).then(|| PostUrl::of_own_page(public));
        self.blog.post_url().or_else(own_page)
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

    /// The file with the secret.
    pub fn jwt_secret_file(&self) -> Option<&Path> {
        self.jwt_secret_file.as_ref()?.0.as_deref()
    }

    /// Refuses settings that do not go together, and completes what follows from others.
    /// The error is one line.
    pub fn complete(&mut self) -> Result<(), String> {
        // A token is not asked again whether its session has expired.
        for (name, ttl) in [
            ("INKPOT_SESSION_TTL", self.session_ttl),
            ("INKPOT_REMEMBER_TTL", self.remember_ttl),
            ("INKPOT_SESSION_MAX", self.session_max),
        ] {
            if ttl < self.token_ttl {
                return Err(format!(
                    "bad value for {name}: a session lasts at least as long as a token, \
                     INKPOT_TOKEN_TTL is {}",
                    self.token_ttl
                ));
            }
        }
        if self.jwt_secret.is_some() && self.jwt_secret_file().is_some() {
            return Err(
                "INKPOT_JWT_SECRET and INKPOT_JWT_SECRET_FILE are both given; one of them is the \
                 secret"
                    .to_owned(),
            );
        }
        let has_sender = matches!(self.mail_from, Some(Given(Some(_))));
        if self.smtp_url().is_some() && !has_sender {
            return Err(
                "INKPOT_MAIL_FROM must be given with INKPOT_SMTP_URL, as in: \
                 Inkpot <blog@example.org>"
                    .to_owned(),
            );
        }
        self.check_replica()?;
        self.trust_authorities();
        Ok(())
    }

    fn check_replica(&self) -> Result<(), String> {
        let is_sqlite = |url: &DatabaseUrl| matches!(url, DatabaseUrl::Sqlite(_));
        match self.database_to_read() {
            Some(url) if is_sqlite(url) => Err(
                "bad value for DATABASE_READ_URL: a replica is one of MySQL or MariaDB, mysql://…"
                    .to_owned(),
            ),
            Some(_) if is_sqlite(&self.database()) => Err(
                "DATABASE_READ_URL is for MySQL and MariaDB, and DATABASE_URL is a SQLite file"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
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
            longest: chrono::Duration::seconds(i64::from(self.session_max)),
            token: chrono::Duration::seconds(i64::from(self.token_ttl)),
        }
    }

    /// How long the audit keeps addresses.
    pub fn audit_addresses(&self) -> chrono::Duration {
        chrono::Duration::seconds(i64::from(self.audit_addresses))
    }

    /// How many messages may be sent.
    pub fn message_limits(&self) -> MessageLimits {
        MessageLimits {
            is_on: self.rate_limits == Switch::On,
            mails_a_day: self.mails_a_day,
            texts_a_day: self.sms_a_day,
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

/// What is in secrets that stand in manuals and are copied from there.
const EXAMPLES: [&str; 14] = [
    "your-256-bit-secret",
    "your-384-bit-secret",
    "your-512-bit-secret",
    "your_secret",
    "your-secret",
    "your_jwt_secret",
    "your-jwt-secret",
    "changeme",
    "change-me",
    "change_me",
    "change this",
    "replace-me",
    "replace_me",
    "django-insecure",
];

/// Refuses secrets that can be guessed: those of manuals, those that repeat themselves; and an HS256 key has at least as many bits as
/// its hash (RFC 7518 §3.2), and one that repeats a few characters has not.
pub fn check_secret(secret: &[u8]) -> Result<(), String> {
    if secret.len() < 32 {
        return Err(format!(
            "a secret needs at least 32 bytes, this one has {}",
            secret.len()
        ));
    }
    let made = "make one with: openssl rand -base64 48";
    let small = String::from_utf8_lossy(secret).to_lowercase();
    if let Some(word) = EXAMPLES.iter().find(|word| small.contains(*word)) {
        return Err(format!(
            "the secret is an example, it has {word:?} in it; {made}"
        ));
    }
    // A key that is told in a few bytes: a text again and again, or a row of letters.
    let half = secret.len() / 2;
    let repeats = |period: usize| secret.iter().zip(&secret[period..]).all(|(a, b)| a == b);
    let steps = secret.windows(2).filter(|two| two[0].abs_diff(two[1]) <= 1);
    if (1..=half).any(repeats) || steps.count() > secret.len() * 2 / 3 {
        return Err(format!("the secret repeats itself; {made}"));
    }
    let mut seen = [false; 256];
    for byte in secret {
        seen[usize::from(*byte)] = true;
    }
    if seen.iter().filter(|s| **s).count() < 10 {
        return Err(format!("the secret is too uniform; {made}"));
    }
    Ok(())
}

/// Reads one or more secrets, separated by commas. The error names no secret.
pub fn secrets(text: &str) -> Result<Secrets, String> {
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

/// Levels, and directives for parts of the program. A word that is no level would be taken
/// for a part of that name, and everything else be silent.
fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in text.split(',').map(str::trim) {
        let is_level = LEVELS
            .iter()
            .any(|level| directive.eq_ignore_ascii_case(level));
        if !is_level && !directive.contains('=') {
            let near = nearest(directive, LEVELS)
                .map_or(String::new(), |level| format!("; did you mean {level}?"));
            return Err(format!(
                "{directive:?} is no level; a level is off, error, warn, info, debug or trace, \
                 and a part of the program has one by inkpot::core::db=debug{near}"
            ));
        }
    }
    tracing_subscriber::EnvFilter::builder()
        .parse(text)
        .map(|_| text.to_owned())
        .map_err(|e| e.to_string())
}

/// The one of `known` that `given` was probably meant to be.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(given, name);
    let nearest = known.into_iter().min_by_key(|name| distance(name))?;
    (distance(nearest) <= 3.min(given.len() / 2)).then_some(nearest)
}

/// An address and a port; a name is looked up, and an IPv4 address of it goes first.
fn listen(text: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        "an address to listen on looks like 127.0.0.1:8080, [::1]:8080, 0.0.0.0:8080 for all, \
         or localhost:8080"
            .to_owned()
    };
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err(wrong());
    }
    let found = text.to_socket_addrs().map_err(|_| wrong())?;
    found.min_by_key(SocketAddr::is_ipv6).ok_or_else(wrong)
}

/// A time within bounds: seconds, or a number with a unit.
fn seconds(least: u32, most: u32) -> impl Fn(&str) -> Result<u32, String> + Clone {
    move |text| {
        let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
            Some(number) => (number, &text[number.len()..]),
            None => (text, "s"),
        };
        let each = match unit {
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => 1,
        };
        let time: Option<u32> = number.parse().ok().and_then(|n: u32| n.checked_mul(each));
        time.filter(|time| (least..=most).contains(time))
            .ok_or_else(|| {
                format!(
                    "a time is a number of seconds, or one with s, m, h or d as in 90s, 5m, 8h, 14d; \
                     this one is from {least} to {most} seconds"
                )
            })
    }
}
