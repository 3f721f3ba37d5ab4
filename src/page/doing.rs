//! Documents in which people do something: forms, which the modules in `assets/` send to the API, and
//! places that they fill. Without scripts a form stays as it is, and says why.

use maud::{Markup, html};

use super::Site;
use super::directory;
use super::layout::{self, Head};
use super::wording::Wording;

/// A field of a form: its name is that of the API.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    label: &'static str,
    help: Option<&'static str>,
    is_required: bool,
}

/// The kind of a field that has lines.
const MANY_LINES: &str = "textarea";

/// A form that stands alone in its document.
struct Form {
    /// Names the document and its form for the modules.
    page: &'static str,
    title: &'static str,
    about: Option<&'static str>,
    fields: &'static [Field],
    submit: &'static str,
    /// Ways on: path and string.
    links: &'static [(&'static str, &'static str)],
}

const fn field(
    name: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    label: &'static str,
) -> Field {
    Field {
        name,
        kind,
        autocomplete,
        label,
        help: None,
        is_required: true,
    }
}

const fn optional(field: Field) -> Field {
    Field {
        is_required: false,
        ..field
    }
}

const fn helped(field: Field, help: &'static str) -> Field {
    Field {
        help: Some(help),
        ..field
    }
}

const ACCOUNT: Field = field("account", "text", "username", "field.account");
const EMAIL: Field = field("email", "email", "email", "field.email");
const BIO: Field = helped(
    optional(field("bio", MANY_LINES, "off", "field.bio")),
    "help.bio",
);
const IMAGE: Field = helped(
    optional(field("image", "url", "photo", "field.image")),
    "help.image",
);
const NAME: Field = helped(field("name", "text", "name", "field.name"), "help.name");
const USERNAME: Field = helped(
    optional(field("username", "text", "username", "field.username")),
    "help.username",
);
const MOBILE: Field = helped(
    optional(field("mobile", "tel", "tel", "field.mobile")),
    "help.mobile",
);
const PASSWORD: Field = field("password", "password", "current-password", "field.password");
const CURRENT: Field = field(
    "current_password",
    "password",
    "current-password",
    "field.current_password",
);
const NEW: Field = helped(
    field(
        "new_password",
        "password",
        "new-password",
        "field.new_password",
    ),
    "help.new_password",
);
const REMEMBERED: Field = optional(field("remembered", "checkbox", "", "field.remembered"));
const CODE: Field = helped(
    field("code", "text", "one-time-code", "field.code"),
    "help.code",
);

const LOGIN: Form = Form {
    page: "login",
    title: "login.title",
    about: None,
    fields: &[ACCOUNT, PASSWORD, REMEMBERED],
    submit: "login.submit",
    links: &[("/forgot", "login.forgot"), ("/register", "login.register")],
};

const REGISTER: Form = Form {
    page: "register",
    title: "register.title",
    about: None,
    fields: &[
        NAME,
        EMAIL,
        USERNAME,
        MOBILE,
        helped(
            field("password", "password", "new-password", "field.password"),
            "help.new_password",
        ),
        REMEMBERED,
    ],
    submit: "register.submit",
    links: &[("/login", "register.login")],
};

const FORGOT: Form = Form {
    page: "forgot",
    title: "forgot.title",
    about: Some("forgot.about"),
    fields: &[ACCOUNT],
    submit: "forgot.submit",
    links: &[("/login", "register.login")],
};

const RESET: Form = Form {
    page: "reset",
    title: "reset.title",
    about: Some("reset.about"),
    fields: &[ACCOUNT, CODE, NEW],
    submit: "reset.submit",
    links: &[("/forgot", "reset.again")],
};

/// The document of that name; `None` where there is none. `is_open`: whether anyone registers.
pub fn render(site: &Site, wording: &Wording, page: &str) -> Option<String> {
    let (page, title, main) = match page {
        "login" => alone(site, wording, &LOGIN),
        "register" if site.is_open => alone(site, wording, &REGISTER),
        "register" => closed(wording),
        "forgot" => alone(site, wording, &FORGOT),
        "reset" => alone(site, wording, &RESET),
        "verify" => ("verify", wording.say("verify.title"), verify(wording)),
        "write" => ("write", wording.say("write.title"), write(wording)),
        "me" => ("me", wording.say("me.title"), me(site, wording)),
        "following" => (
            "following",
            wording.say("following.title"),
            directory::following(site, wording),
        ),
        "people" => (
            "people",
            wording.say("people.title"),
            directory::people(wording),
        ),
        "admin" => (
            "admin",
            wording.say("admin.title"),
            directory::admin(site, wording),
        ),
        _ => return None,
    };
    let head = Head {
        title: Some(title),
        page,
        ..Head::default()
    };
    Some(layout::document(site, wording, &head, &main))
}

fn alone<'a>(site: &Site, wording: &'a Wording, form: &Form) -> (&'static str, &'a str, Markup) {
    let title = wording.texts().get(form.title).map_or("", String::as_str);
    let main = html! {
        div.narrow {
            h1 { (title) }
            @if let Some(about) = form.about { p { (wording.say(about)) } }
            @if form.page == "login" { p.next { (wording.say("login.next")) } }
            (form_of(wording, form.page, form.fields, &html! {
                p.buttons { button type="submit" { (wording.say(form.submit)) } }
            }))
            p.meta {
                @for (path, text) in form.links {
                    a href=(site.at(path)) { (wording.say(text)) } " "
                }
            }
        }
    };
    (form.page, title, main)
}

fn closed(wording: &Wording) -> (&'static str, &str, Markup) {
    let main = html! {
        div.narrow {
            h1 { (wording.say("register.title")) }
            p { (wording.say("register.closed")) }
        }
    };
    ("closed", wording.say("register.title"), main)
}

/// A form of the modules; `buttons` stand at its end. Its fields wait for the modules.
fn form_of(wording: &Wording, name: &str, fields: &[Field], buttons: &Markup) -> Markup {
    html! {
        form data-form=(name) novalidate method="dialog" {
            noscript { p.notice { (wording.say("form.scripts")) } }
            fieldset disabled {
                @for field in fields { (field_of(wording, name, field)) }
                p.error data-error role="alert" {}
                (buttons)
            }
        }
    }
}

fn field_of(wording: &Wording, form: &str, field: &Field) -> Markup {
    let id = format!("{form}-{}", field.name);
    let (help, error) = (format!("{id}-help"), format!("{id}-error"));
    let described = if field.help.is_some() {
        format!("{help} {error}")
    } else {
        error.clone()
    };
    let label = wording.say(field.label);
    if field.kind == "checkbox" {
        return html! {
            div.field.check {
                input type="checkbox" id=(id) name=(field.name) aria-describedby=(error);
                label for=(id) { (label) }
                p.error id=(error) {}
            }
        };
    }
    let is_code = field.name == "code";
    html! {
        div.field {
            label for=(id) {
                (label)
                @if !field.is_required { " " span.meta { (wording.say("field.optional")) } }
            }
            @if field.kind == MANY_LINES {
                textarea id=(id) name=(field.name) rows="4" aria-describedby=(described) dir="auto" {}
            } @else {
                input type=(field.kind) id=(id) name=(field.name) autocomplete=(field.autocomplete)
                    required[field.is_required] aria-describedby=(described)
                    inputmode=[is_code.then_some("numeric")] maxlength=[is_code.then_some("6")]
                    spellcheck="false" autocapitalize="none" dir="auto";
            }
            @if let Some(text) = field.help { p.help id=(help) { (wording.say(text)) } }
            p.error id=(error) {}
        }
    }
}

fn verify(wording: &Wording) -> Markup {
    let channel = |value: &str, text: &str| {
        html! { option value=(value) { (wording.say(text)) } }
    };
    html! {
        div.narrow {
            h1 { (wording.say("verify.title")) }
            p { (wording.say("verify.about")) }
            form data-form="send" novalidate method="dialog" {
                noscript { p.notice { (wording.say("form.scripts")) } }
                fieldset disabled {
                    div.field {
                        label for="send-channel" { (wording.say("verify.channel")) }
                        select id="send-channel" name="channel" aria-describedby="send-channel-error" {
                            (channel("email", "field.email"))
                            (channel("mobile", "field.mobile"))
                        }
                        p.error id="send-channel-error" {}
                    }
                    p.error data-error role="alert" {}
                    p.buttons { button type="submit" class="quiet" { (wording.say("verify.send")) } }
                }
            }
            (form_of(wording, "verify", &[CODE], &html! {
                p.buttons { button type="submit" { (wording.say("verify.submit")) } }
            }))
        }
    }
}

fn write(wording: &Wording) -> Markup {
    let format = |value: &str, text: &str| {
        html! { option value=(value) { (wording.say(text)) } }
    };
    html! {
        h1.unseen { (wording.say("write.title")) }
        form.write data-form="write" novalidate method="dialog" {
            noscript { p.notice { (wording.say("form.scripts")) } }
            fieldset disabled {
                div.field {
                    label for="write-title" { (wording.say("write.post_title")) }
                    input.title type="text" id="write-title" name="title" autocomplete="off" maxlength="256"
                        required aria-describedby="write-title-error" dir="auto";
                    p.error id="write-title-error" {}
                }
                div.tabs role="tablist" aria-label=(wording.say("write.views")) {
                    button type="button" role="tab" id="tab-source" aria-controls="panel-source" aria-selected="true" {
                        (wording.say("write.source"))
                    }
                    button type="button" role="tab" id="tab-preview" aria-controls="panel-preview" aria-selected="false"
                        tabindex="-1" { (wording.say("write.preview")) }
                }
                div id="panel-source" role="tabpanel" aria-labelledby="tab-source" {
                    div.field {
                        label.unseen for="write-content" { (wording.say("write.content")) }
                        textarea id="write-content" name="content" rows="18" required
                            aria-describedby="write-content-error write-content-help" dir="auto" {}
                        p.help id="write-content-help" { (wording.say("write.help")) }
                        p.error id="write-content-error" {}
                    }
                }
                div id="panel-preview" role="tabpanel" aria-labelledby="tab-preview" hidden tabindex="0" {
                    div.text dir="auto" data-preview {}
                }
                div.row {
                    div.field {
                        label for="write-tags" { (wording.say("write.tags")) " " span.meta { (wording.say("field.optional")) } }
                        input type="text" id="write-tags" name="tags" autocomplete="off" list="tag-list"
                            aria-describedby="write-tags-help write-tags-error" dir="auto";
                        datalist id="tag-list" {}
                        p.help id="write-tags-help" { (wording.say("write.tags_help")) }
                        p.error id="write-tags-error" {}
                    }
                    div.field {
                        label for="write-format" { (wording.say("write.format")) }
                        select id="write-format" name="format" aria-describedby="write-format-error" {
                            (format("markdown", "write.markdown"))
                            (format("html", "write.html"))
                            (format("text", "write.text"))
                        }
                        p.error id="write-format-error" {}
                    }
                }
                div.field data-publish-at {
                    label for="write-publish-at" { (wording.say("write.publish_at")) " " span.meta { (wording.say("field.optional")) } }
                    input type="datetime-local" id="write-publish-at" name="publish_at"
                        aria-describedby="write-publish-at-help write-publish-at-error";
                    p.help id="write-publish-at-help" { (wording.say("write.publish_at_help")) " " span data-zone {} }
                    p.error id="write-publish-at-error" {}
                }
                p.error data-error role="alert" {}
                div data-conflict {}
                p.buttons {
                    button type="submit" value="published" data-publish { (wording.say("write.publish")) }
                    button.quiet type="submit" value="draft" data-draft { (wording.say("write.draft")) }
                    span.meta data-kept aria-live="polite" {}
                }
            }
        }
    }
}

fn me(site: &Site, wording: &Wording) -> Markup {
    let save = |text: &str| {
        html! { p.buttons { button type="submit" { (wording.say(text)) } } }
    };
    html! {
        h1 { (wording.say("me.title")) }
        noscript { p.notice { (wording.say("form.scripts")) } }
        section aria-labelledby="me-posts" {
            h2 id="me-posts" { (wording.say("me.posts")) }
            div data-posts aria-live="polite" {}
            p.buttons { a.button href=(site.at("/write")) { (wording.say("layout.write")) } }
        }
        section aria-labelledby="me-profile" {
            h2 id="me-profile" { (wording.say("me.profile")) }
            p.meta data-verified {}
            (form_of(wording, "profile", &[
                NAME, EMAIL, USERNAME, MOBILE, BIO, IMAGE,
                helped(optional(CURRENT), "help.current_password"),
            ], &save("me.save")))
        }
        section aria-labelledby="me-password" {
            h2 id="me-password" { (wording.say("me.password")) }
            (form_of(wording, "password", &[CURRENT, NEW], &save("me.change_password")))
        }
        section aria-labelledby="me-sessions" {
            h2 id="me-sessions" { (wording.say("me.sessions")) }
            ul.rows data-sessions {}
            p.buttons {
                button.quiet type="button" data-end-others { (wording.say("me.end_others")) }
                button.quiet type="button" data-end-all { (wording.say("me.end_all")) }
            }
        }
        section aria-labelledby="me-leave" {
            h2 id="me-leave" { (wording.say("me.data")) }
            p { (wording.say("me.data_about")) }
            p.buttons {
                button.quiet type="button" data-export { (wording.say("me.export")) }
                button.danger type="button" data-leave { (wording.say("me.leave")) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::Language;

    #[test]
    fn every_string_of_the_forms_is_written() {
        for &language in Language::ALL {
            let wording = Wording::of(language);
            for form in [&LOGIN, &REGISTER, &FORGOT, &RESET] {
                let fields = form
                    .fields
                    .iter()
                    .flat_map(|field| [Some(field.label), field.help]);
                let links = form.links.iter().map(|(_, text)| Some(*text));
                let own = [Some(form.title), form.about, Some(form.submit)];
                for name in own.into_iter().chain(links).chain(fields).flatten() {
                    assert!(wording.texts().contains_key(name), "{name}");
                }
            }
        }
    }
}
