//! The page: what people read in a browser, rendered here from the same reads as the API.
//!
//! It stands beside the route table, above the rooms: it calls their actions, keeps what it
//! renders in the response cache of posts under the same cache tags, and changes nothing.
//!
//! - [`routes`]: the addresses, and what each of them reads.
//! - [`layout`]: what every document has; [`lists`], [`archive`], [`post`], [`comments`], [`doing`], [`directory`], [`docs`], [`problem`]: what is in it.
//! - [`wording`]: every string that people read, a file a language; [`assets`]: the style sheet and
//!   the modules, embedded.
//!
//! Everything that somebody wrote is escaped by the template, but for the content of a post or a comment,
//! which comes from the sanitizer ([`crate::posts::html`]).

pub mod archive;
pub mod assets;
pub mod comments;
pub mod directory;
pub mod docs;
pub mod doing;
pub mod layout;
pub mod lists;
pub mod post;
pub mod problem;
pub mod routes;
pub mod wording;

use crate::core::settings::post_url::PostUrl;
use crate::core::settings::public_url::PublicUrl;
use crate::core::settings::{Registration, Settings, Switch};

/// What all documents know of the site.
#[derive(Clone, Debug)]
pub struct Site {
    /// Whether there are documents at all.
    pub is_on: bool,
    /// Whether anyone may register.
    pub is_open: bool,
    /// The name that readers see.
    pub title: String,
    /// The base of absolute links.
    pub public_url: PublicUrl,
    /// Where people read posts: here, or at another front end.
    pub post_url: Option<PostUrl>,
}

impl Site {
    /// As the settings have it.
    pub fn new(settings: &Settings, public_url: PublicUrl) -> Self {
        Self {
            is_on: settings.blog.page == Switch::On,
            is_open: settings.registration == Registration::Open,
            title: settings.blog.title.clone(),
            post_url: settings.post_url(&public_url),
            public_url,
        }
    }

    /// The address of a path of this server, which begins with a slash, as links within the site have
    /// it.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.path())
    }
}
