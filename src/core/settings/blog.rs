//! What the blog is called, and where people read it.

use clap::Args;

use super::post_url::PostUrl;
use super::{Given, Switch, optional};
use crate::core::text::is_blank;

/// Characters of the title or the subtitle.
const LINE_MAX: usize = 200;

/// Settings of the blog as people see it.
#[derive(Debug, Clone, Args)]
pub struct BlogSettings {
    // The text is that of --help, where brackets around the URL would be part of it.
    #[allow(rustdoc::bare_urls)]
    /// Where people read a post, for feeds and the sitemap, with {slug} or {id} in it,
    /// as in: https://blog.example.org/p/{slug}
    /// [default: the page, /p/{slug} under the public URL; nowhere where that is off]
    #[arg(long, env = "INKPOT_POST_URL", global = true, value_name = "URL", value_parser = optional(PostUrl::parse))]
    post_url: Option<Given<PostUrl>>,

    /// Whether people get documents to read at /; off serves the API alone
    #[arg(
        long,
        env = "INKPOT_PAGE",
        global = true,
        value_name = "SWITCH",
        default_value = "on"
    )]
    pub page: Switch,

    /// Name of the blog, as readers see it
    #[arg(
        long,
        env = "INKPOT_TITLE",
        global = true,
        value_name = "NAME",
        default_value = "Inkpot",
        value_parser = line
    )]
    pub title: String,

    /// What the blog is about, in a sentence
    /// [default: none]
    #[arg(long, env = "INKPOT_SUBTITLE", global = true, value_name = "TEXT", value_parser = optional(line))]
    subtitle: Option<Given<String>>,
}

impl BlogSettings {
    /// Where people read a post, where that is given.
    pub fn post_url(&self) -> Option<PostUrl> {
        self.post_url.as_ref()?.0.clone()
    }

    /// The subtitle, where it is given.
    pub fn subtitle(&self) -> Option<&str> {
        self.subtitle.as_ref()?.0.as_deref()
    }
}

/// A line for people. The error is what is wrong, without the value.
fn line(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_short = text.chars().count() <= LINE_MAX;
    if is_blank(text) || !is_short || text.contains(char::is_control) {
        return Err(format!(
            "it has 1 to {LINE_MAX} visible characters in one line, as in: Notes from Delft"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_visible() {
        assert_eq!(line(" My blog "), Ok("My blog".to_owned()));
        assert_eq!(line(&"語".repeat(LINE_MAX)), Ok("語".repeat(LINE_MAX)));
        for text in [" ", "\u{200b}", "two\nlines", &"x".repeat(LINE_MAX + 1)] {
            assert!(
                line(text).unwrap_err().contains("visible characters"),
                "{text:?}"
            );
        }
    }
}
