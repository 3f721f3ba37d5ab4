//! The API's description (OpenAPI 3.1), made from the route table.

use utoipa::openapi::info::{ContactBuilder, InfoBuilder, License};
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{OpenApi, OpenApiBuilder, Paths};
use utoipa::{PartialSchema, ToSchema};

use crate::error::{FieldError, Problem};
use crate::meta::Rendered;
use crate::routes;

const ABOUT: &str = "\
A multi-user blog back end. Bodies are JSON in UTF-8; fields that a body does not take are refused. Every error is \
`application/problem+json` (RFC 9457) with a `code` from one closed list; `x-codes` lists those that a status can \
mean, and `GET` of a problem's `type` explains it. Every path answers `HEAD` (where it answers `GET`) and `OPTIONS`, \
and is the same resource with a trailing slash. Answers carry `X-Request-Id`, that of the request if it is sane (at most 64 of `[A-Za-z0-9._-]`), and are compressed (br, zstd, gzip) by \
`Accept-Encoding`.";

/// Renders the description in both forms. `base`: the path under which the world reaches
/// this server.
pub fn render(base: &str) -> Result<Rendered, String> {
    let description = describe(base);
    Ok(Rendered {
        yaml: description.to_yaml().map_err(|e| e.to_string())?,
        json: description.to_pretty_json().map_err(|e| e.to_string())?,
    })
}

/// Describes every endpoint of the route table.
pub fn describe(base: &str) -> OpenApi {
    let mut paths = Paths::new();
    let mut named = vec![
        (Problem::name().into_owned(), Problem::schema()),
        (FieldError::name().into_owned(), FieldError::schema()),
    ];
    Problem::schemas(&mut named);
    for endpoint in routes::endpoints() {
        named.extend(endpoint.describe(&mut paths));
    }
    let components = named
        .into_iter()
        .fold(ComponentsBuilder::new(), |all, (name, schema)| {
            all.schema(name, schema)
        })
        .security_scheme(
            "bearer",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .bearer_format("JWT")
                    .description(Some("`Authorization: Bearer <token>`"))
                    .build(),
            ),
        )
        .security_scheme(
            "jwt",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
                "JWT",
                "`JWT: <token>`, for clients of the older design.",
            ))),
        )
        .build();
    let mut license = License::new("MIT");
    license.identifier = Some("MIT".to_owned());
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .contact(Some(
                    ContactBuilder::new()
                        .name(Some("The maintainers of Inkpot"))
                        .build(),
                ))
                .title("Inkpot")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .license(Some(license))
                .build(),
        )
        .servers(Some([ServerBuilder::new()
            .url(if base.is_empty() { "/" } else { base })
            .description(Some("The server that this description came from."))
            .build()]))
        .tags(Some([
            tag("users", "People: registration, login, profiles."),
            tag("posts", "What they publish."),
            tag(
                "social",
                "What people say to posts, that they like them, and whom they follow.",
            ),
            tag("presence", "Who is online, as a list and as a live stream."),
            tag("jobs", "Work that is done later, for admins."),
            tag(
                "service",
                "The service itself: health, description, error codes, public keys.",
            ),
        ]))
        .paths(paths)
        .components(Some(components))
        .build()
}

fn tag(name: &str, description: &str) -> utoipa::openapi::Tag {
    TagBuilder::new()
        .name(name)
        .description(Some(description))
        .build()
}
