//! What of HTML is shown: the elements and attributes of text, and no others.

use std::borrow::Cow;
use std::collections::HashSet;

use ammonia::Builder;

/// Where a link may lead; one without a scheme leads to the reader's own site.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];
/// Characters of the name of a language.
const LANGUAGE_MAX: usize = 32;

/// HTML with what is on ammonia's list of elements and attributes, and ids, which begin with
/// `place`. Neither scripts, handlers, styles, frames nor forms are on it.
pub fn sanitize(place: &str, html: &str) -> String {
    let prefix = format!("{place}-");
    let mut builder = Builder::default();
    builder
        .url_schemes(HashSet::from(SCHEMES))
        .link_rel(Some("nofollow ugc noopener"))
        .add_generic_attributes(["id"])
        .id_prefix(Some(&prefix))
        .add_tag_attributes("code", ["class"]);
    // Nobody sees it, and its address is not asked for its scheme.
    for element in ["blockquote", "del", "ins", "q"] {
        builder.rm_tag_attributes(element, ["cite"]);
    }
    let own = prefix.clone();
    builder.attribute_filter(
        move |element, attribute, value| match (element, attribute) {
            ("code", "class") => is_language(value).then_some(Cow::Borrowed(value)),
            ("a", "href") => Some(match value.strip_prefix('#') {
                Some(id) if !id.is_empty() => Cow::Owned(format!("#{own}{id}")),
                _ => Cow::Borrowed(value),
            }),
            _ => Some(Cow::Borrowed(value)),
        },
    );
    builder.clean(html).to_string()
}

/// The class by which highlighters know the language of code.
fn is_language(class: &str) -> bool {
    class.strip_prefix("language-").is_some_and(|name| {
        (1..=LANGUAGE_MAX).contains(&name.len())
            && (name.bytes()).all(|b| b.is_ascii_alphanumeric() || b"+-#._".contains(&b))
    })
}
