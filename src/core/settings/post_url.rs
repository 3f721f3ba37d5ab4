//! Where people read a post: a template of a URL. Feeds and the sitemap lead there, never to the
//! JSON of the API.

use url::Url;

use super::public_url::PublicUrl;

/// Stands for the id of a post.
const ID: &str = "{id}";
/// Stands for its name in URLs.
const SLUG: &str = "{slug}";
/// Where Inkpot's own page shows a post.
const OWN_PAGE: &str = "/p/{slug}";

/// A URL with `{slug}` or `{id}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostUrl {
    template: String,
    /// Where everything is to be read.
    home: String,
}

impl PostUrl {
    /// Reads the setting. The error is what is wrong, without the value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "it looks like https://blog.example.org/p/{slug}, with {slug} or {id} behind the host"
                .to_owned()
        };
        let filled = text.replace(ID, "1").replace(SLUG, "1");
        // What a browser would repair is a slip here.
        let slips = std::cell::Cell::new(false);
        let url = Url::options()
            .syntax_violation_callback(Some(&|_| slips.set(true)))
            .parse(&filled)
            .map_err(|_| wrong())?;
        let (_, behind_scheme) = text.split_once("://").ok_or_else(wrong)?;
        let host = behind_scheme.split(['/', '?', '#']).next().unwrap_or("");
        let is_template = filled != text && !host.contains('{');
        // What is no placeholder would stand in every link as it is.
        let is_clean = !slips.get() && !filled.contains(['{', '}']);
        let is_plain = url.username().is_empty() && url.password().is_none();
        if is_template && is_clean && is_plain && matches!(url.scheme(), "http" | "https") {
            Ok(Self {
                template: text.to_owned(),
                home: url.origin().ascii_serialization() + "/",
            })
        } else {
            Err(wrong())
        }
    }

    /// That of the page that Inkpot serves under its public URL.
    pub fn of_own_page(public: &PublicUrl) -> Self {
        Self {
            template: public.join(OWN_PAGE),
            home: public.join("/"),
        }
    }

    /// The URL of one post. What has no slug is found by its id in the slug's place.
    pub fn of(&self, post_id: i64, slug: Option<&str>) -> String {
        let id = post_id.to_string();
        let slug = slug.unwrap_or(&id);
        self.template.replace(ID, &id).replace(SLUG, slug)
    }

    /// Where people begin to read.
    pub fn home(&self) -> &str {
        &self.home
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in() {
        for (template, expected) in [
            (
                "https://blog.example.org/p/{slug}",
                "https://blog.example.org/p/hello-world",
            ),
            (
                "https://blog.example.org/{id}/{slug}",
                "https://blog.example.org/7/hello-world",
            ),
            (
                "http://localhost:3000/?post={id}",
                "http://localhost:3000/?post=7",
            ),
            (
                "https://example.org/blog/#/p/{slug}",
                "https://example.org/blog/#/p/hello-world",
            ),
        ] {
            let url = PostUrl::parse(template).unwrap();
            assert_eq!(url.of(7, Some("hello-world")), expected);
        }
        let url = PostUrl::parse("http://localhost:3000/blog/{id}").unwrap();
        assert_eq!(url.home(), "http://localhost:3000/");
        let public = PublicUrl::parse("https://example.org/blog/").unwrap();
        let url = PostUrl::of_own_page(&public);
        assert_eq!(url.of(7, Some("hello")), "https://example.org/blog/p/hello");
        assert_eq!(url.of(7, None), "https://example.org/blog/p/7");
        assert_eq!(url.home(), "https://example.org/blog/");
    }

    #[test]
    fn what_is_no_template_is_refused_without_being_repeated() {
        for text in [
            "",
            "/p/{slug}",
            "https://blog.example.org/p",
            "https://{slug}.example.org/p/{id}",
            "https://{slug}",
            "https://user:hunter22@example.org/{slug}",
            "ftp://example.org/{slug}",
            "javascript:alert({id})",
            "https://example.org/{slug}/{date}",
            "https://example.org/{ slug }",
            "https://example.org/a b/{slug}",
            "https://example.org\\{slug}",
            "https:/example.org/{slug}",
            "https://example.org/{slug",
        ] {
            let error = PostUrl::parse(text).unwrap_err();
            assert!(
                error.contains("looks like") && !error.contains("hunter22"),
                "{text}"
            );
        }
    }
}
