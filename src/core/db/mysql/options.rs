//! The parameters of a `mysql://` URL.

use std::time::Duration;

use diesel::result::{ConnectionError, ConnectionResult};
use mysql_async::{Opts, OptsBuilder, SslOpts};

/// How long the database may take for the work of one request, unless the URL says
/// otherwise.
pub(in crate::core::db) const DEADLINE: Duration = Duration::from_secs(10);

/// What is ours among the parameters of the URL.
struct Own {
    authority: Option<std::path::PathBuf>,
    /// The name in the server's certificate.
    tls_name: Option<String>,
    deadline: Duration,
}

/// The deadline that a URL asks for. The error is one line.
pub(in crate::core::db) fn deadline(database_url: &str) -> Result<Duration, String> {
    let url = url::Url::parse(database_url).map_err(|e| format!("not a URL: {e}"))?;
    split(&url).map(|(own, _)| own.deadline)
}

/// Refuses a URL that the driver would. The error is one line.
pub(in crate::core::db) fn check(database_url: &str) -> Result<(), String> {
    (options(database_url).map(drop)).map_err(|error| error.to_string())
}

/// Takes our own parameters `ssl_ca`, `tls_name` and `deadline` out of those of the driver.
fn split(url: &url::Url) -> Result<(Own, Vec<(String, String)>), String> {
    let mut own = Own {
        authority: None,
        tls_name: None,
        deadline: DEADLINE,
    };
    let mut rest = Vec::new();
    for (key, value) in url.query_pairs() {
        match &*key {
            "ssl_ca" => own.authority = Some(std::path::PathBuf::from(value.into_owned())),
            "tls_name" => own.tls_name = Some(value.into_owned()),
            "deadline" => own.deadline = seconds(&value)?,
            // The driver takes it and verifies the name all the same.
            "verify_identity" if value == "false" => {
                return Err(
                    "verify_identity=false does nothing; say by tls_name=NAME which name the \
                     server's certificate has, or verify nothing of it by verify_ca=false"
                        .to_owned(),
                );
            }
            _ => rest.push((key.into_owned(), value.into_owned())),
        }
    }
    Ok((own, rest))
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("deadline is a number of seconds, 1 to 3600".to_owned()),
    }
}

/// Driver options for `database_url`, and the deadline.
pub(super) fn options(database_url: &str) -> ConnectionResult<(Opts, Duration)> {
    let invalid = |why: String| ConnectionError::InvalidConnectionUrl(why);
    let mut url = url::Url::parse(database_url).map_err(|e| invalid(e.to_string()))?;
    let (own, rest) = split(&url).map_err(invalid)?;
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    let opts = Opts::from_url(url.as_str()).map_err(|e| invalid(e.to_string()))?;
    if opts.db_name().is_none_or(str::is_empty) {
        return Err(invalid("it names no database".to_owned()));
    }
    let mut ssl = opts.ssl_opts().cloned();
    if let Some(path) = own.authority {
        let given = ssl.unwrap_or_else(SslOpts::default);
        ssl = Some(given.with_root_certs(vec![path.into()]));
    }
    if let Some(name) = own.tls_name {
        let given = ssl.unwrap_or_else(SslOpts::default);
        ssl = Some(given.with_danger_tls_hostname_override(Some(name)));
    }
    let builder = OptsBuilder::from_opts(opts)
        .ssl_opts(ssl)
        .stmt_cache_size(0) // diesel-async keeps its own
        .client_found_rows(true); // rows found, not rows changed, as on SQLite
    Ok((builder.into(), own.deadline))
}
