//! The bare server: actix-web with its normal routing, which answers from memory
//! what the real one answered at the start. What a request costs here is what
//! HTTP costs.

use std::collections::HashMap;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use clap::Args;
use inkpot::core::settings::processors;

use crate::Outcome;
use crate::client::{Client, Reply};

/// Connections over which the answers are fetched.
const FETCHERS: u64 = 4;
/// What is kept of an answer beside its body.
const KEPT: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::ETAG,
    header::CACHE_CONTROL,
    header::VARY,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_SECURITY_POLICY,
];

#[derive(Args)]
pub struct Options {
    /// host:port of the real server
    from: String,
    /// Serve the posts 1 to this
    #[arg(long, default_value_t = 1)]
    posts: u64,
    /// Serve the list with this query, too
    #[arg(long)]
    list: Vec<String>,
    /// Serve the document of this path, too
    #[arg(long)]
    document: Vec<String>,
}

/// One form of an answer.
struct Form {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

/// An answer; compressed where that was fetched.
struct Answer {
    plain: Form,
    brotli: Option<Form>,
}

/// All answers there are.
struct Answers {
    /// The post with the id 1 first.
    posts: Vec<Answer>,
    /// By the query.
    lists: HashMap<String, Answer>,
    /// By the path.
    documents: HashMap<String, Answer>,
}

/// Fetches, says where it listens, serves until it is told to stop.
pub fn run(options: Options) -> Outcome<()> {
    let answers = Data::new(fetch(options)?);
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(answers.clone())
                .route("/post/", web::get().to(list))
                .route("/post/{id}", web::get().to(post))
                .route("/", web::get().to(document))
                .route("/p/{post}", web::get().to(document))
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

async fn post(request: HttpRequest, id: web::Path<usize>, all: Data<Answers>) -> HttpResponse {
    respond(&request, all.posts.get(id.wrapping_sub(1)))
}

async fn list(request: HttpRequest, all: Data<Answers>) -> HttpResponse {
    respond(&request, all.lists.get(request.query_string()))
}

async fn document(request: HttpRequest, all: Data<Answers>) -> HttpResponse {
    respond(&request, all.documents.get(request.path()))
}

fn respond(request: &HttpRequest, answer: Option<&Answer>) -> HttpResponse {
    let Some(answer) = answer else {
        return HttpResponse::NotFound().finish();
    };
    let takes_brotli = says(request.headers(), &header::ACCEPT_ENCODING, "br");
    let form = match &answer.brotli {
        Some(brotli) if takes_brotli => brotli,
        _ => &answer.plain,
    };
    let asked = request.headers().get(header::IF_NONE_MATCH);
    let is_known = asked.is_some_and(|asked| form.headers.iter().any(|(_, value)| value == asked));
    let mut response = if is_known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    for (name, value) in &form.headers {
        // A 304 has no body whose kind it could tell.
        if !is_known || *name != header::CONTENT_TYPE {
            response.insert_header((name.clone(), value.clone()));
        }
    }
    if is_known {
        response.finish()
    } else {
        response.body(form.body.clone())
    }
}

fn says(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.split(',').any(|part| part.trim() == word))
}

/// Everything that is asked for, from the real server.
fn fetch(options: Options) -> Outcome<Answers> {
    let from = options.from.as_str();
    let mut client = Client::connect(from)?;
    let mut lists = HashMap::new();
    for query in options.list {
        let answer = both(&mut client, &format!("/post/?{query}"))?;
        lists.insert(query, answer);
    }
    let mut documents = HashMap::new();
    for path in options.document {
        let answer = both(&mut client, &path)?;
        documents.insert(path, answer);
    }
    let first = both(&mut client, "/post/1")?;
    let share = options.posts.div_ceil(FETCHERS);
    let mut posts = std::thread::scope(|scope| {
        let running: Vec<_> = (0..FETCHERS)
            .map(|n| {
                let end = options.posts.min((n + 1) * share);
                scope.spawn(move || fetch_posts(from, n * share + 1, end))
            })
            .collect();
        let mut posts = Vec::new();
        for thread in running {
            posts.extend(thread.join().map_err(|_| "a fetcher panicked")??);
        }
        Outcome::Ok(posts)
    })?;
    if let Some(slot) = posts.first_mut() {
        *slot = first;
    }
    Ok(Answers {
        posts,
        lists,
        documents,
    })
}

fn fetch_posts(from: &str, begin: u64, end: u64) -> Outcome<Vec<Answer>> {
    let mut client = Client::connect(from)?;
    (begin..=end)
        .map(|id| {
            Ok(Answer {
                plain: form(client.get(&format!("/post/{id}"), "")?)?,
                brotli: None,
            })
        })
        .collect()
}

fn both(client: &mut Client, path: &str) -> Outcome<Answer> {
    Ok(Answer {
        plain: form(client.get(path, "")?)?,
        brotli: Some(form(client.get(path, "Accept-Encoding: br\r\n")?)?),
    })
}

fn form(reply: Reply) -> Outcome<Form> {
    if reply.status != 200 {
        return Err(format!("the server answered {}", reply.status).into());
    }
    let mut headers = Vec::new();
    for name in KEPT {
        if let Some(value) = reply.header(name.as_str()) {
            headers.push((name, HeaderValue::from_str(value)?));
        }
    }
    Ok(Form {
        headers,
        body: reply.body.into(),
    })
}
