//! Documents that modules fill: everybody with who is online, and the administration.

use maud::{Markup, html};

use super::Site;
use super::lists;
use super::wording::Wording;

/// Parts of the administration: the last segment of the path, and the string of the way there.
const PARTS: [(&str, &str); 8] = [
    ("users", "admin.users"),
    ("posts", "admin.posts"),
    ("comments", "admin.comments"),
    ("jobs", "admin.jobs"),
    ("audit", "admin.audit"),
    ("keys", "admin.keys"),
    ("health", "admin.health"),
    ("check", "admin.check"),
];

/// The posts of those whom one follows.
pub fn following(site: &Site, wording: &Wording) -> Markup {
    html! {
        (lists::views(site, wording, true))
        h1.unseen { (wording.say("following.title")) }
        noscript { p.notice { (wording.say("form.scripts")) } }
        div.posts data-posts {}
        div.empty data-none hidden {
            p { (wording.say("following.none")) }
            p.meta { (wording.say("following.none_hint")) }
        }
        p.buttons { button.quiet type="button" data-more hidden { (wording.say("following.more")) } }
    }
}

/// Everybody.
pub fn people(wording: &Wording) -> Markup {
    html! {
        header.list {
            h1 { (wording.say("people.title")) }
            p.meta data-online-count aria-live="polite" { (wording.say("people.about")) }
        }
        noscript { p.notice { (wording.say("form.scripts")) } }
        form.search data-people-form role="search" method="dialog" {
            fieldset disabled {
                label for="people-q" { (wording.say("people.find")) }
                input type="search" id="people-q" name="q" maxlength="100" autocomplete="off" dir="auto";
                button type="submit" { (wording.say("search.submit")) }
            }
        }
        p.notice data-partial hidden { (wording.say("people.partial")) }
        ul.rows.people data-people {}
        p.empty data-none hidden { (wording.say("people.none")) }
        p.buttons { button.quiet type="button" data-more hidden { (wording.say("people.more")) } }
    }
}

/// The administration: for guests and others only how one becomes an admin.
pub fn admin(site: &Site, wording: &Wording) -> Markup {
    html! {
        h1 { (wording.say("admin.title")) }
        noscript { p.notice { (wording.say("form.scripts")) } }
        div data-admin-only {
            p { (wording.say("admin.only")) }
            pre { code { "inkpot user create --admin --email you@example.org --name You" } }
        }
        div data-admin hidden {
            nav.ways aria-label=(wording.say("admin.title")) {
                @for (part, text) in PARTS {
                    a href=(site.at(&format!("/admin/{part}"))) { (wording.say(text)) }
                }
            }
            div data-part {}
        }
    }
}

/// Whether the administration has such a part.
pub fn is_part(name: &str) -> bool {
    PARTS.iter().any(|(part, _)| *part == name)
}
