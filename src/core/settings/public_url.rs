//! Where the world reaches this server, for links that must be absolute. It is a
//! setting, never the `Host` of a request: that is what the client wants it to be, and
//! answers are kept by caches that others read from.

use std::net::SocketAddr;

use url::{ParseError, Url};

/// The base of absolute links, perhaps with a path, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    base: String,
    authority: String,
}

impl PublicUrl {
    /// Reads the setting. The error is what is wrong, without the value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "a public URL looks like https://blog.example.org or https://example.org/blog"
                .to_owned()
        };
        // What a browser would repair is a slip here.
        let slips = std::cell::Cell::new(false);
        let url = Url::options()
            .syntax_violation_callback(Some(&|_| slips.set(true)))
            .parse(text)
            .map_err(|_: ParseError| wrong())?;
        let is_plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if slips.get() || !is_plain || !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        Ok(Self {
            base: url.as_str().trim_end_matches('/').to_owned(),
            authority: url.authority().to_owned(),
        })
    }

    /// That of a server which is reached at the very address it listens on.
    pub fn of_address(address: SocketAddr) -> Self {
        Self {
            base: format!("http://{address}"),
            authority: address.to_string(),
        }
    }

    /// Its origin as browsers send it (RFC 6454 §6.1): scheme, host, port.
    pub fn origin(&self) -> String {
        let scheme = if self.is_https() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// Whether the world reaches this server by TLS.
    pub fn is_https(&self) -> bool {
        self.base.starts_with("https:")
    }

    /// The absolute URL of a path of this server, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Its path, without a trailing slash: empty where the server has a host to itself.
    pub fn path(&self) -> &str {
        let from = self.base.find("://").map_or(0, |at| at + "://".len());
        let slash = self.base[from..].find('/');
        slash.map_or("", |at| &self.base[from + at..])
    }

    /// Host, and port where it is not the scheme's own.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_taken_in_one_spelling() {
        for (text, post, authority) in [
            (
                "https://blog.example.org",
                "https://blog.example.org/post/1",
                "blog.example.org",
            ),
            (
                "https://blog.example.org/",
                "https://blog.example.org/post/1",
                "blog.example.org",
            ),
            (
                "HTTPS://Blog.Example.org:443",
                "https://blog.example.org/post/1",
                "blog.example.org",
            ),
            (
                "http://example.org:81/a/blog/",
                "http://example.org:81/a/blog/post/1",
                "example.org:81",
            ),
            (
                "http://[::1]:8080",
                "http://[::1]:8080/post/1",
                "[::1]:8080",
            ),
            (
                "https://bücher.example",
                "https://xn--bcher-kva.example/post/1",
                "xn--bcher-kva.example",
            ),
        ] {
            let url = PublicUrl::parse(text).unwrap();
            assert_eq!(url.join("/post/1"), post, "{text}");
            assert_eq!(url.authority(), authority, "{text}");
        }
    }

    #[test]
    fn a_base_may_have_a_path() {
        for (text, path) in [
            ("https://blog.example.org", ""),
            ("https://blog.example.org/", ""),
            ("http://[::1]:8080", ""),
            ("https://example.org/blog", "/blog"),
            ("http://example.org:81/a/blog/", "/a/blog"),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().path(), path, "{text}");
        }
    }

    #[test]
    fn what_is_no_base_is_refused_without_being_repeated() {
        for text in [
            "",
            "blog.example.org",
            "/blog",
            "ftp://example.org",
            "file:///blog",
            "https:example.org",
            "https:\\\\example.org",
            "https://",
            "https://user@example.org",
            "https://user:hunter22@example.org",
            "https://@example.org",
            "https://example.org?",
            "https://example.org?a=b",
            "https://example.org#",
            "https://example.org/a b",
            " https://example.org",
            "https://exa\nmple.org",
            "https://example.org:99999",
        ] {
            let error = PublicUrl::parse(text).unwrap_err();
            assert!(
                error.contains("looks like") && !error.contains("hunter22"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_address_is_a_base() {
        let url = PublicUrl::of_address("[::1]:8080".parse().unwrap());
        assert_eq!(url, PublicUrl::parse("http://[::1]:8080/").unwrap());
    }
}
