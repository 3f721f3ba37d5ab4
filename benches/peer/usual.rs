//! The same as the server over the same tables in the usual way: actix-web, an async driver
//! with its pool, a query for each request, pages by `COUNT(*)` and `OFFSET`, the database's own
//! full-text index, tokens that nobody can take back. No cache, no session, no log, no limit.

use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{NaiveDateTime, Utc};
use clap::Args;
use diesel::connection::SimpleConnection;
use hmac::{Hmac, Mac};
use inkpot::core::settings::processors;
use mysql_async::prelude::Queryable;
use mysql_async::{Opts, OptsBuilder, Params, Pool, PoolConstraints, PoolOpts, Row, TxOpts, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;

use crate::{Outcome, open};

#[derive(Args)]
pub struct Options {
    /// mysql://user:password@host:port/database
    database: String,
    /// Connections to the database, as `INKPOT_DB_POOL`
    #[arg(long)]
    pool: usize,
}

/// What a reader of posts reads.
const COLUMNS: &str = "p.post_id, p.title, u.name, p.author_id, p.date, p.updated, p.tags";
/// Those that a search finds: in the title or in the text. A derived table: as `IN (… UNION …)` MariaDB
/// would ask for each post anew.
const FOUND: &str = "JOIN (\
     SELECT post_id FROM post WHERE MATCH (title) AGAINST (? IN BOOLEAN MODE) UNION \
     SELECT post_id FROM content WHERE MATCH (body) AGAINST (? IN BOOLEAN MODE)\
     ) f ON f.post_id = p.post_id";
const SECRET: &[u8] = b"a secret of the usual server";

/// Makes the full-text indexes that a search in the usual way needs.
pub fn index(database: &str) -> Outcome<()> {
    let mut conn = open(database)?;
    conn.batch_execute("ALTER TABLE post ADD FULLTEXT KEY usual_title (title)")?;
    Ok(conn.batch_execute("ALTER TABLE content ADD FULLTEXT KEY usual_body (body)")?)
}

/// Says where it listens, serves until it is told to stop.
pub fn run(options: &Options) -> Outcome<()> {
    let opts = Opts::from_url(&options.database)?;
    // A pool for each worker, so that no thread waits for another's.
    let size = (options.pool / processors()).max(1);
    let constraints = PoolConstraints::new(1, size).ok_or("no pool of that size")?;
    // A reset at each return is a round trip, and forgets the prepared statements.
    let pool = PoolOpts::default()
        .with_constraints(constraints)
        .with_reset_connection(false);
    let opts: Opts = OptsBuilder::from_opts(opts)
        .pool_opts(pool)
        .prefer_socket(false)
        .into();
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(Pool::new(opts.clone())))
                .route("/post/", web::get().to(list))
                .route("/post", web::get().to(list))
                .route("/post", web::post().to(publish))
                .route("/post/{id}", web::get().to(post))
                .route("/user/login", web::post().to(log_in))
        })
        .workers(processors())
        .shutdown_timeout(0)
        .bind("127.0.0.1:0")?;
        for address in server.addrs() {
            println!("listening on http://{address}");
        }
        Ok(server.run().await?)
    })
}

/// Whatever went wrong.
#[derive(Debug)]
struct Failed(String, StatusCode);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl ResponseError for Failed {
    fn status_code(&self) -> StatusCode {
        self.1
    }
}

impl From<mysql_async::Error> for Failed {
    fn from(error: mysql_async::Error) -> Self {
        eprintln!("usual: {error}");
        Self(error.to_string(), StatusCode::INTERNAL_SERVER_ERROR)
    }
}

type Answered = Result<HttpResponse, Failed>;

fn refused(why: &str, status: StatusCode) -> Failed {
    Failed(why.to_owned(), status)
}

#[derive(Serialize)]
struct Item {
    post_id: i64,
    post_title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_content: Option<String>,
    author: String,
    author_id: i64,
    date: String,
    updated: String,
    status: &'static str,
    tags: Vec<String>,
}

/// A row of [`COLUMNS`], and the text where that was asked for.
fn item(mut row: Row) -> Item {
    let tags: String = row.take(6).unwrap_or_default();
    Item {
        post_id: row.take(0).unwrap_or_default(),
        post_title: row.take(1).unwrap_or_default(),
        author: row.take(2).unwrap_or_default(),
        author_id: row.take(3).unwrap_or_default(),
        date: row.take(4).as_ref().map(time).unwrap_or_default(),
        updated: row.take(5).as_ref().map(time).unwrap_or_default(),
        post_content: row.take(7),
        status: "published",
        tags: split(&tags),
    }
}

fn split(tags: &str) -> Vec<String> {
    let tags = tags.split('\n').filter(|tag| !tag.is_empty());
    tags.map(str::to_owned).collect()
}

fn time(value: &Value) -> String {
    match *value {
        Value::Date(year, month, day, hour, minute, second, micros) => {
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
        }
        _ => String::new(),
    }
}

async fn post(pool: Data<Pool>, id: Path<i64>) -> Answered {
    let mut conn = pool.get_conn().await?;
    let sql = format!(
        "SELECT {COLUMNS}, c.body FROM post p JOIN user u ON u.user_id = p.author_id \
         JOIN content c ON c.post_id = p.post_id WHERE p.post_id = ? AND p.published = 1"
    );
    let row: Option<Row> = conn.exec_first(sql, (id.into_inner(),)).await?;
    let row = row.ok_or_else(|| refused("no such post", StatusCode::NOT_FOUND))?;
    Ok(HttpResponse::Ok().json(json!({ "post": item(row) })))
}

#[derive(Deserialize)]
struct Asked {
    page: Option<u64>,
    size: Option<u64>,
    author: Option<i64>,
    tag: Option<String>,
    q: Option<String>,
}

async fn list(pool: Data<Pool>, asked: Query<Asked>) -> Answered {
    let (page, size) = (asked.page.unwrap_or(1).max(1), asked.size.unwrap_or(20));
    let (mut from, mut filter) = ("post p".to_owned(), "p.published = 1".to_owned());
    let mut values = Vec::<Value>::new();
    if let Some(words) = &asked.q {
        from = format!("post p {FOUND}");
        let words: Vec<String> = (words.split_whitespace())
            .map(|word| format!("+{word}"))
            .collect();
        values.extend([words.join(" ").into(), words.join(" ").into()]);
    }
    let mut place = "p.place";
    if let Some(tag) = &asked.tag {
        from.push_str(" JOIN post_tag t ON t.post_id = p.post_id");
        place = "t.place";
        filter.push_str(" AND t.tag = ? AND t.published = 1");
        values.push(tag.as_str().into());
    }
    if let Some(author) = asked.author {
        filter.push_str(" AND p.author_id = ?");
        values.push(author.into());
    }
    // A left join: MariaDB would begin with the users otherwise, and sort all posts.
    let mut conn = pool.get_conn().await?;
    let counting = format!("SELECT COUNT(*) FROM {from} WHERE {filter}");
    let params = |values: &[Value]| match values {
        [] => Params::Empty,
        values => Params::Positional(values.to_vec()),
    };
    let count: Option<u64> = conn.exec_first(counting, params(&values)).await?;
    let count = count.unwrap_or(0);
    values.extend([size.into(), ((page - 1) * size).into()]);
    let sql = format!(
        "SELECT {COLUMNS} FROM {from} LEFT JOIN user u ON u.user_id = p.author_id \
         WHERE {filter} ORDER BY {place} DESC LIMIT ? OFFSET ?"
    );
    let rows: Vec<Row> = conn.exec(sql, params(&values)).await?;
    let posts: Vec<Item> = rows.into_iter().map(item).collect();
    let pages = count.div_ceil(size.max(1));
    let pagination = json!({ "count": count, "pages": pages, "page": page, "size": size });
    Ok(HttpResponse::Ok().json(json!({ "posts": posts, "pagination": pagination })))
}

#[derive(Deserialize)]
struct NewPost {
    title: String,
    content: String,
    #[serde(default)]
    tags: Vec<String>,
}

async fn publish(pool: Data<Pool>, request: HttpRequest, new: Json<NewPost>) -> Answered {
    let author_id =
        caller(&request).ok_or_else(|| refused("who are you?", StatusCode::UNAUTHORIZED))?;
    let NewPost {
        title,
        content,
        tags,
    } = new.into_inner();
    let now = Utc::now().naive_utc();
    let stored = stored(now);
    let mut conn = pool.get_conn().await?;
    let mut transaction = conn.start_transaction(TxOpts::default()).await?;
    let name: Option<String> = transaction
        .exec_first(
            "SELECT name FROM user WHERE user_id = ? AND is_active = 1",
            (author_id,),
        )
        .await?;
    let name = name.ok_or_else(|| refused("nobody", StatusCode::UNAUTHORIZED))?;
    let place = next_place(now);
    let sql = "INSERT INTO post (author_id, title, date, updated, published, place, tags) \
               VALUES (?, ?, ?, ?, 1, ?, ?)";
    let row = (
        author_id,
        &title,
        stored.clone(),
        stored,
        place,
        tags.join("\n"),
    );
    transaction.exec_drop(sql, row).await?;
    let id = transaction.last_insert_id().unwrap_or(0);
    transaction
        .exec_drop(
            "INSERT INTO content (post_id, body) VALUES (?, ?)",
            (id, &content),
        )
        .await?;
    if !tags.is_empty() {
        let rows = vec!["(?, 1, ?, ?, ?)"; tags.len()].join(", ");
        let sql = format!(
            "INSERT INTO post_tag (tag, published, place, post_id, author_id) VALUES {rows}"
        );
        let values: Vec<Value> = (tags.iter())
            .flat_map(|tag| {
                [
                    tag.as_str().into(),
                    place.into(),
                    id.into(),
                    author_id.into(),
                ]
            })
            .collect();
        transaction.exec_drop(sql, values).await?;
    }
    transaction.commit().await?;
    let date = now.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let post = Item {
        post_id: i64::try_from(id).unwrap_or(0),
        post_title: title,
        post_content: Some(content),
        author: name,
        author_id,
        updated: date.clone(),
        date,
        status: "published",
        tags,
    };
    Ok(HttpResponse::Created().json(json!({ "post_id": id, "user_id": author_id, "post": post })))
}

fn stored(time: NaiveDateTime) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// Where a post stands in lists: by its time, each at a place of its own.
fn next_place(now: NaiveDateTime) -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = now.and_utc().timestamp_micros();
    let last = LAST.fetch_max(now, Ordering::Relaxed);
    if now > last {
        now
    } else {
        LAST.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[derive(Deserialize)]
struct Login {
    account: String,
    password: String,
}

async fn log_in(pool: Data<Pool>, login: Json<Login>) -> Answered {
    let Login { account, password } = login.into_inner();
    let found: Option<(i64, String, String)> = {
        let sql = "SELECT user_id, name, password FROM user WHERE email_key = ? AND is_active = 1";
        pool.get_conn().await?.exec_first(sql, (account,)).await?
    };
    let unknown = || refused("wrong", StatusCode::UNAUTHORIZED);
    let (user_id, name, hash) = found.ok_or_else(unknown)?;
    let is_right = web::block(move || bcrypt::verify(password, &hash).unwrap_or(false)).await;
    if !is_right.unwrap_or(false) {
        return Err(unknown());
    }
    let token = token(user_id);
    let userinfo = json!({ "user_id": user_id, "name": name });
    Ok(HttpResponse::Ok().json(json!({ "userinfo": userinfo, "token": token })))
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: i64,
    exp: i64,
}

/// A JSON Web Token, HS256.
fn token(user_id: i64) -> String {
    let claims = json!(Claims {
        sub: user_id,
        exp: Utc::now().timestamp() + 86_400
    });
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let signed = format!(
        "{}.{}",
        encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        encode(&claims.to_string())
    );
    let signature =
        mac(&signed).map(|mac| BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
    format!("{signed}.{}", signature.unwrap_or_default())
}

fn mac(text: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

/// Whose token the request has.
fn caller(request: &HttpRequest) -> Option<i64> {
    let header = request.headers().get("Authorization")?.to_str().ok()?;
    let (signed, signature) = header.strip_prefix("Bearer ")?.rsplit_once('.')?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    mac(signed)?.verify_slice(&signature).ok()?;
    let (_, claims) = signed.split_once('.')?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    (claims.exp > Utc::now().timestamp()).then_some(claims.sub)
}
