//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use diesel::result::QueryResult;

use crate::accounts::codes::CodeKeys;
use crate::accounts::hasher::Hasher;
use crate::accounts::known::KnownSessions;
use crate::accounts::letters::Letters;
use crate::accounts::refresh::RefreshKeys;
use crate::accounts::tokens::Tokens;
use crate::clock::Clock;
use crate::config::{Settings, Switch, processors};
use crate::db::{Conn, DatabaseUrl, Db, DbError};
use crate::http::public_url::PublicUrl;
use crate::jobs::Waker;
use crate::limits::Limits;
use crate::notify::Notifier;
use crate::openapi;
use crate::posts::answers::{self, Answers, Recalled};

/// How long finished answers are kept where other processes may write.
const OTHERS_WRITE: Duration = Duration::from_secs(1);

/// The application's state; one for all workers.
pub struct App {
    pub settings: Settings,
    pub db: Db,
    pub hasher: Hasher,
    pub tokens: Tokens,
    pub refresh_keys: RefreshKeys,
    pub code_keys: Arc<CodeKeys>,
    pub known: KnownSessions,
    /// To be woken when something was committed that has jobs.
    pub jobs: Waker,
    /// Finished answers about posts.
    pub answers: Answers,
    pub limits: Limits,
    pub clock: Clock,
    /// The base of absolute links.
    pub public_url: PublicUrl,
    /// The API's description, rendered once.
    pub description: openapi::Rendered,
}

impl App {
    /// Puts the parts together. `secrets` sign and verify tokens until the
    /// database's keys are read ([`keys`](crate::accounts::keys)).
    pub fn new(
        settings: Settings,
        secrets: &[Vec<u8>],
        db: Db,
        clock: Clock,
    ) -> Result<Self, String> {
        Ok(Self {
            hasher: Hasher::start(settings.bcrypt_cost, processors())?,
            tokens: Tokens::new(secrets, settings.token_ttl, clock.clone())?
                .signing_with(settings.jwt_alg),
            refresh_keys: RefreshKeys::new(secrets)?,
            code_keys: Arc::new(CodeKeys::new(secrets)?),
            known: KnownSessions::default(),
            jobs: Waker::default(),
            answers: Answers::new(
                u64::from(settings.cache_mb) << 20,
                match db.url() {
                    DatabaseUrl::Sqlite(_) => None,
                    DatabaseUrl::Mysql(_) => Some(OTHERS_WRITE),
                },
                clock.clone(),
            ),
            limits: Limits::new(settings.rate_limits == Switch::On, &clock)?,
            description: openapi::render()?,
            public_url: (settings.public_url.clone())
                .unwrap_or_else(|| PublicUrl::of_address(settings.listen)),
            settings,
            db,
            clock,
        })
    }
}

impl App {
    /// What does the jobs that this service writes. The error is one line.
    pub fn letters(&self) -> Result<Letters, String> {
        Ok(Letters {
            db: self.db.clone(),
            clock: self.clock.clone(),
            code_keys: Arc::clone(&self.code_keys),
            notifier: Notifier::new(&self.settings, self.public_url.clone())?,
            waker: self.jobs.clone(),
        })
    }

    /// The finished answer to a GET, if it is there and asked for plainly.
    pub fn recall(&self, path: &str, query: &str) -> Option<Recalled> {
        answers::recall(&self.answers, path, query)
    }
}

/// [`Db::write`] for a write that may change what any finished answer shows, such as
/// the name of an author.
pub async fn write_shown<T, F>(app: &Data<App>, work: F) -> Result<T, DbError>
where
    T: Send + 'static,
    F: Fn(&mut Conn) -> QueryResult<T> + Send + 'static,
{
    let after = app.clone();
    app.db
        .write_and(work, move |_| answers::anything_changed(&after.answers))
        .await
}
