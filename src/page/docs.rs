//! `/docs`: the description of the API in Swagger UI, to be read and tried out by who is logged in here.

use actix_web::http::header::HeaderValue;
use maud::{DOCTYPE, html};

use super::Site;
use super::assets::Assets;
use super::wording::Wording;

/// What the document may do in a browser: as all others, but that the viewer writes HTML, which its own
/// sanitizer has seen. Scripts it writes none.
pub const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types default dompurify",
);

/// The document, whose style is not that of the others.
pub fn render(site: &Site, wording: &Wording) -> String {
    let asset = |name| site.at(&Assets::path(name));
    let title = wording.say("docs.title");
    let description = ["/openapi.yaml", "/openapi.json"];
    let markup = html! {
        (DOCTYPE)
        html lang=(wording.tag()) data-base=(site.at("")) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (wording.fill("list.title", &[("what", title), ("site", &site.title)])) }
                meta name="robots" content="noindex";
                script src=(asset("early.js")) {}
                script src=(asset("swagger-ui.js")) defer {}
                script type="module" src=(asset("docs.js")) {}
                link rel="stylesheet" href=(asset("swagger-ui.css"));
                link rel="stylesheet" href=(asset("docs.css"));
                link rel="icon" type="image/svg+xml" href=(asset("icon.svg"));
                meta name="color-scheme" content="light dark";
            }
            body {
                header {
                    h1 { a href=(site.at("/")) dir="auto" { (site.title) } " · " (title) }
                    p {
                        @for path in description {
                            a href=(site.at(path)) { (path.trim_start_matches('/')) } " "
                        }
                    }
                    p.guest {
                        a href=(site.at("/login?next=/docs")) { (wording.say("layout.login")) } " "
                        (wording.say("docs.guest"))
                    }
                    p.user data-caller { (wording.say("docs.user")) }
                }
                // The viewer speaks English alone, as the description does.
                main id="docs" lang="en" {
                    noscript { p { (wording.say("docs.scripts")) } }
                }
            }
        }
    };
    markup.into_string()
}
