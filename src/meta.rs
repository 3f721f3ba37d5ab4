//! The service about itself: health, description, error codes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::core::bus::Bus;
use crate::core::compression;
use crate::core::db::migrations::Standing;
use crate::core::db::{Db, migrations};
use crate::core::metrics::Families;
use crate::core::redis::health::RedisHealth;
use crate::core::replica::{Replica, Standing as Replicated};
use crate::error::{Cause, Code, Error, TABLE};
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::response::{self, CacheControl};

const TAG: &str = "service";

/// What the service looks at to tell whether it is ready.
pub struct Health {
    pub db: Db,
    pub bus: Arc<Bus>,
    /// `None` where Redis is not set up.
    pub redis: Option<Arc<RedisHealth>>,
    /// `None` where there is none.
    pub replica: Option<Arc<Replica>>,
    /// The process stops: it ends what it has and is to get nothing new.
    pub is_draining: AtomicBool,
}

impl Health {
    /// The process stops.
    pub fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    /// Whether other processes are not heard by Redis that should be.
    fn is_degraded(&self) -> bool {
        (self.redis.as_ref()).is_some_and(|redis| redis.is_away() || !self.bus.is_connected())
    }

    /// How the replica is, which is nobody's need.
    fn replica(&self) -> Option<HealthStatus> {
        let replica = self.replica.as_ref()?;
        Some(match replica.standing() {
            Replicated::Used => HealthStatus::Ok,
            Replicated::Behind => HealthStatus::Degraded,
            Replicated::Away => HealthStatus::Away,
            Replicated::Unknown => HealthStatus::Unknown,
        })
    }

    /// Tells of readiness as far as it is known without the database.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        families.flag(
            "inkpot_draining",
            "Whether the process stops.",
            self.is_draining(),
        )?;
        families.flag(
            "inkpot_bus_connected",
            "Whether other processes are heard by Redis; 0 also where it is not set up.",
            self.bus.is_connected(),
        )
    }
}

/// The API's description, rendered once.
pub struct Rendered {
    pub yaml: String,
    pub json: String,
}

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(TABLE.iter().map(|row| row.name)))
        .build();
    vec![
        Endpoint::new("/livez").get(
            Operation::new(
                "getLiveness",
                TAG,
                "Ask whether the process runs",
                "The process runs",
            )
            .description("Nothing is looked at: whoever gets an answer knows all there is to know.")
            .answers::<LiveAnswer>(StatusCode::OK, json!({ "status": "ok" })),
            livez,
        ),
        Endpoint::new("/readyz").get(
            Operation::new(
                "getReadiness",
                TAG,
                "Ask whether the service can do its work",
                "The service can do its work",
            )
            .description(
                "`degraded` is ready all the same: Redis is away, so this process hears others \
                     by the database only, and presence shows its own users. A refusal says in \
                     `checks` what is wrong: each of `process`, `database`, `migrations` and, \
                     where it is set up, `redis` is `ok`, `away`, `pending`, `unknown` or, while \
                     the process stops, `draining`. `replica`, where there is one, is `ok`, `away`, \
                     `degraded` when it is behind, or `unknown` at first; without it all is read at the \
                     primary, and nothing is lost.",
            )
            .answers::<ReadyAnswer>(
                StatusCode::OK,
                json!({ "status": "ok", "database": "ok", "migrations": "ok", "redis": "ok" }),
            )
            .refuses(&[Code::NotReady]),
            readyz,
        ),
        Endpoint::new("/openapi.yaml").get(
            Operation::new(
                "getDescriptionAsYaml",
                TAG,
                "Read this description as YAML",
                "This description as YAML",
            )
            .description("The same as the JSON.")
            .answers_text("application/yaml")
            .revalidates(),
            openapi_yaml,
        ),
        Endpoint::new("/openapi.json").get(
            Operation::new(
                "getDescriptionAsJson",
                TAG,
                "Read this description as JSON",
                "This description as JSON",
            )
            .description("OpenAPI 3.1, made from the routes that this server has.")
            .answers_text("application/json")
            .revalidates(),
            openapi_json,
        ),
        Endpoint::new("/problems/{code}").get(
            Operation::new(
                "getProblem",
                TAG,
                "Explain an error code",
                "What an error code means",
            )
            .description(
                "Where the `type` of a problem leads. The codes of fields are explained as well.",
            )
            .parameter(
                "code",
                ParameterIn::Path,
                "The code.",
                name.into(),
                json!("validation_failed"),
            )
            .answers::<Explanation>(
                StatusCode::OK,
                json!({
                    "code": "post_not_found", "title": "Post not found", "status": 404,
                    "explanation": "No post has this id.",
                }),
            )
            .revalidates()
            .refuses(&[Code::NotFound]),
            problem,
        ),
    ]
}

#[derive(Serialize, ToSchema)]
struct LiveAnswer {
    status: HealthStatus,
}

#[derive(Serialize, ToSchema)]
struct ReadyAnswer {
    /// `ok` or `degraded`.
    status: HealthStatus,
    /// `ok`: without it the service is not ready.
    database: HealthStatus,
    /// `ok`: without them the service is not ready.
    migrations: HealthStatus,
    /// `ok` or `away`; only where `REDIS_URL` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    redis: Option<HealthStatus>,
    /// `ok`, `away`, `degraded` or `unknown`; only where `DATABASE_READ_URL` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    replica: Option<HealthStatus>,
}

/// How something is: one list for all, so that generated clients have one type.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HealthStatus {
    Ok,
    /// It works, but not as well as it could.
    Degraded,
    /// It cannot be reached.
    Away,
    /// It lacks something.
    Pending,
    /// It stops.
    Draining,
    /// It cannot be asked.
    Unknown,
}

impl HealthStatus {
    /// As it is in JSON.
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Away => "away",
            Self::Pending => "pending",
            Self::Draining => "draining",
            Self::Unknown => "unknown",
        }
    }
}

/// A row of the table of error codes.
#[derive(Serialize, ToSchema)]
struct Explanation {
    code: &'static str,
    title: &'static str,
    /// The HTTP status; null for codes that stand beside a field in `errors`.
    #[schema(required = true)]
    status: Option<u16>,
    explanation: &'static str,
}

/// That the process runs.
pub async fn livez() -> Result<HttpResponse, Error> {
    response::json(
        StatusCode::OK,
        CacheControl::NoStore,
        &LiveAnswer {
            status: HealthStatus::Ok,
        },
    )
}

/// Whether the service can do its work, and if not, what is wrong.
pub async fn readyz(health: Data<Health>) -> Result<HttpResponse, Error> {
    // A read of a table: a cluster node without quorum still answers SELECT 1.
    let standing = health.db.read(migrations::standing).await;
    let is_degraded = health.is_degraded();
    let redis = (health.bus.has_transport()).then_some(if is_degraded {
        HealthStatus::Away
    } else {
        HealthStatus::Ok
    });
    let (database, migrations) = match &standing {
        Err(_) => (HealthStatus::Away, HealthStatus::Unknown),
        Ok(Standing::Pending { .. }) => (HealthStatus::Ok, HealthStatus::Pending),
        Ok(Standing::Current { .. }) => (HealthStatus::Ok, HealthStatus::Ok),
    };
    let is_draining = health.is_draining();
    if is_draining || database != HealthStatus::Ok || migrations != HealthStatus::Ok {
        let (detail, cause) = match &standing {
            // That is how it should be, and no fault.
            _ if is_draining => ("The server stops.", None),
            Err(error) => ("The database cannot be reached.", Some(Cause::from(error))),
            Ok(_) => (
                "The database lacks migrations.",
                Some(Cause::new("migrations are pending")),
            ),
        };
        let process = if is_draining {
            HealthStatus::Draining
        } else {
            HealthStatus::Ok
        };
        let checks = [
            ("process", Some(process)),
            ("database", Some(database)),
            ("migrations", Some(migrations)),
            ("redis", redis),
            ("replica", health.replica()),
        ];
        return Err(Error {
            cause: cause.map(Box::new),
            checks: (checks.into_iter())
                .filter_map(|(part, status)| Some((part, status?.name())))
                .collect(),
            ..Error::with_detail(Code::NotReady, detail)
        });
    }
    let answer = ReadyAnswer {
        status: if is_degraded {
            HealthStatus::Degraded
        } else {
            HealthStatus::Ok
        },
        database,
        migrations,
        redis,
        replica: health.replica(),
    };
    response::json(StatusCode::OK, CacheControl::NoStore, &answer)
}

async fn openapi_yaml(description: Data<Rendered>) -> Result<HttpResponse, Error> {
    Ok(text("application/yaml", &description.yaml))
}

async fn openapi_json(description: Data<Rendered>) -> Result<HttpResponse, Error> {
    Ok(text("application/json", &description.json))
}

fn text(media_type: &'static str, body: &str) -> HttpResponse {
    HttpResponseBuilder::new(StatusCode::OK)
        .insert_header((header::CONTENT_TYPE, media_type))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ETAG, compression::etag_of(body.as_bytes())))
        .body(body.to_owned())
}

async fn problem(request: HttpRequest) -> Result<HttpResponse, Error> {
    let row = TABLE
        .iter()
        .find(|row| request.match_info().get("code") == Some(row.name))
        .ok_or_else(|| Error::with_detail(Code::NotFound, "No such error code."))?;
    response::read(&Explanation {
        code: row.name,
        title: row.title,
        status: row.status,
        explanation: row.explanation,
    })
}
