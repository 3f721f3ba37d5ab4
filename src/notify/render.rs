//! Rendering of a message: the templates filled in, as a mail or as a text message.
//!
//! A template is two lines, the subject and the text message, and then paragraphs.
//! Text and HTML are made of the same ones, so they cannot say different things. No
//! text of a user's is in them: who can choose what others are sent is a spammer soon.

use std::time::SystemTime;

use chrono::NaiveDateTime;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use super::language::Language;
use super::types::{Failure, Message, Origin};
use crate::core::settings::messages::{self, MailFrom};
use crate::core::settings::public_url::PublicUrl;

const FRAME: &str = include_str!("templates/frame.html");

fn template(message: &Message, language: Language) -> &'static str {
    let templates = language.templates();
    match message {
        Message::VerifyEmail { .. } => templates.verify_email,
        Message::VerifyMobile { .. } => templates.verify_mobile,
        Message::ResetPassword { .. } => templates.reset_password,
        Message::Invitation { .. } => templates.invitation,
        Message::PasswordChanged { .. } => templates.password_changed,
        Message::EmailChanged { .. } => templates.email_changed,
        Message::MobileChanged { .. } => templates.mobile_changed,
        Message::AccountDeleted { .. } => templates.account_deleted,
        Message::SessionEnded { .. } => templates.session_ended,
        Message::Test { .. } => templates.test,
    }
}

/// The value of a line at a template's head.
fn head<'a>(template: &'a str, name: &str) -> &'a str {
    template
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_default()
}

/// Puts values in place of `{name}`; what is in a value stays as it is.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        rest = if let Some((value, after)) = value {
            filled.push_str(value);
            after
        } else {
            filled.push('{');
            after
        };
    }
    filled + rest
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// To the minute, since no more is needed to know it again.
fn readable(at: NaiveDateTime, language: Language) -> String {
    at.format(language.templates().time_format).to_string()
}

/// A message in a language, as text messages have it: it fits one (70 characters of
/// UCS-2, or 160 of GSM 03.38).
pub fn text_message(message: &Message, language: Language) -> String {
    let time = message.at().map(|at| readable(at, language));
    fill(
        head(template(message, language), "SMS"),
        &[
            ("code", message.code().unwrap_or_default()),
            ("time", &time.unwrap_or_default()),
        ],
    )
}

/// A message in a language, as mails have it.
pub struct RenderedMail {
    subject: String,
    text: String,
    html: String,
}

impl RenderedMail {
    /// Fills the template in. Links lead to `public_url`.
    pub fn new(message: &Message, language: Language, public_url: &PublicUrl) -> Self {
        let template = template(message, language);
        // Subjects show on locked screens: no values in them.
        let subject = head(template, "Subject").to_owned();
        let body = template.split_once("\n\n").map_or("", |(_, body)| body);
        let code = message.code().unwrap_or_default();
        let time = message
            .at()
            .map(|at| readable(at, language))
            .unwrap_or_default();
        let link = public_url.join("/");
        let text = fill(body, &[("code", code), ("time", &time), ("link", &link)]);
        let code = format!(
            "<strong style=\"font:28px monospace;letter-spacing:4px\">{}</strong>",
            escape(code)
        );
        let link = escape(&link);
        let values = [
            ("code", code.as_str()),
            ("time", &escape(&time)),
            ("link", &format!("<a href=\"{link}\">{link}</a>")),
        ];
        let paragraphs: Vec<String> = body
            .trim_end()
            .split("\n\n")
            .map(|paragraph| format!("<p>{}</p>\n", fill(&escape(paragraph), &values)))
            .collect();
        let html = fill(
            FRAME,
            &[
                ("lang", language.tag()),
                ("subject", &escape(&subject)),
                ("body", &paragraphs.concat()),
            ],
        );
        Self {
            subject,
            text,
            html,
        }
    }

    /// The whole mail, the same to the byte for the same origin.
    pub fn into_mail(
        self,
        from: &MailFrom,
        to: &str,
        origin: &Origin,
    ) -> Result<lettre::Message, Failure> {
        // The address itself is not told: this gets into logs.
        let to = messages::address(to)
            .ok_or_else(|| Failure::Permanent("no mail can go to such an address".to_owned()))?;
        // The library reads addresses out of its headers by rules that some do not fit.
        let sender = from.mailbox().email.clone();
        let envelope = Envelope::new(Some(sender), vec![to.clone()])
            .map_err(|e| Failure::Permanent(format!("no mail can be sent: {e}")))?;
        let key = origin.key();
        let auto_submitted = HeaderName::new_from_ascii_str("Auto-Submitted");
        lettre::Message::builder()
            .from(from.mailbox().clone())
            .to(Mailbox::new(None, to))
            .envelope(envelope)
            .subject(self.subject)
            .date(date(origin.created))
            .message_id(Some(format!("<{key}@{}>", from.domain())))
            .raw_header(HeaderValue::new(
                auto_submitted,
                "auto-generated".to_owned(),
            ))
            .multipart(
                MultiPart::alternative()
                    .boundary(key)
                    .singlepart(part(ContentType::TEXT_PLAIN, self.text))
                    .singlepart(part(ContentType::TEXT_HTML, self.html)),
            )
            .map_err(|e| Failure::Permanent(format!("no mail can be made: {e}")))
    }
}

fn part(content_type: ContentType, content: String) -> SinglePart {
    SinglePart::builder().header(content_type).body(content)
}

/// As the header has it, which knows no years before 1970 and after 9999.
fn date(created: NaiveDateTime) -> SystemTime {
    let seconds = created.and_utc().timestamp().clamp(0, 253_402_300_799);
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chrono::NaiveDate;

    use super::*;

    fn at() -> NaiveDateTime {
        NaiveDate::from_ymd_opt(2026, 11, 21)
            .unwrap()
            .and_hms_micro_opt(9, 30, 59, 123_456)
            .unwrap()
    }

    fn messages(code: &str) -> [Message; 10] {
        let code = code.to_owned();
        let at = at();
        [
            Message::VerifyEmail { code: code.clone() },
            Message::VerifyMobile { code: code.clone() },
            Message::ResetPassword { code: code.clone() },
            Message::Invitation { code },
            Message::PasswordChanged { at },
            Message::EmailChanged { at },
            Message::MobileChanged { at },
            Message::AccountDeleted { at },
            Message::SessionEnded { at },
            Message::Test { at },
        ]
    }

    fn public_url() -> PublicUrl {
        PublicUrl::parse("https://blog.example.org/a&b").unwrap()
    }

    #[test]
    fn every_message_says_what_it_must_in_every_language() {
        for &language in Language::ALL {
            for message in messages("48 1516") {
                let mail = RenderedMail::new(&message, language, &public_url());
                let what = format!("{message:?} {language:?}");
                assert!(!mail.subject.is_empty(), "{what}");
                assert!(!mail.subject.contains("48 1516"), "{what}");
                assert!(
                    mail.text.contains("https://blog.example.org/a&b/"),
                    "{what}"
                );
                let link = "<a href=\"https://blog.example.org/a&amp;b/\">";
                assert!(mail.html.contains(link), "{what}: {}", mail.html);
                let lang = format!("<html lang=\"{}\">", language.tag());
                assert!(mail.html.contains(&lang), "{what}");
                if message.code().is_some() {
                    let lines: Vec<&str> = mail.text.lines().collect();
                    assert!(lines.contains(&"48 1516"), "{what}: {}", mail.text);
                    assert!(mail.html.contains(">48 1516<"), "{what}");
                } else {
                    for body in [&mail.text, &mail.html] {
                        assert!(body.contains("2026-11-21"), "{what}");
                        assert!(body.contains("09:30"), "{what}");
                    }
                }
                for body in [&mail.subject, &mail.text, &mail.html] {
                    for name in ["{code}", "{time}", "{link}", "{body}", "{lang}"] {
                        assert!(!body.contains(name), "{what} {name}");
                    }
                }
            }
        }
    }

    #[test]
    fn text_and_html_have_the_same_paragraphs() {
        for &language in Language::ALL {
            for message in messages("481516") {
                let mail = RenderedMail::new(&message, language, &public_url());
                let of_html = mail.html.matches("<p>").count();
                assert_eq!(
                    mail.text.trim_end().split("\n\n").count(),
                    of_html,
                    "{message:?} {language:?}"
                );
                assert!(of_html >= 3);
            }
        }
    }

    #[test]
    fn the_languages_have_texts_of_their_own() {
        for message in messages("481516") {
            let [english, chinese] = [Language::English, Language::Chinese]
                .map(|language| RenderedMail::new(&message, language, &public_url()));
            assert!(english.text.is_ascii() && english.subject.is_ascii());
            let is_chinese = |text: &str| text.chars().any(|c| ('一'..='龥').contains(&c));
            assert!(is_chinese(&chinese.subject) && is_chinese(&chinese.text));
            let texts = Language::ALL
                .iter()
                .map(|&language| RenderedMail::new(&message, language, &public_url()).text);
            let different: HashSet<String> = texts.collect();
            assert_eq!(different.len(), Language::ALL.len(), "{message:?}");
        }
    }

    #[test]
    fn values_are_escaped_and_not_filled_in_again() {
        let hostile = "<b>&\"'{link}";
        for message in &messages(hostile)[..4] {
            let mail = RenderedMail::new(message, Language::English, &public_url());
            assert!(!mail.html.contains("<b>"));
            assert!(
                mail.html
                    .contains(">&lt;b&gt;&amp;&quot;&#39;{link}</strong>"),
                "{}",
                mail.html
            );
            assert!(mail.text.contains(hostile));
        }
    }

    /// What is in GSM 03.38 in one place each, of what occurs in texts.
    fn is_gsm(c: char) -> bool {
        let is_ascii = c.is_ascii() && !"^{}\\[~]|`".contains(c);
        is_ascii || "\u{a3}\u{a1}\u{bf}\u{a7}ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùü".contains(c)
    }

    #[test]
    fn a_text_message_is_one() {
        for message in messages("1234567890") {
            for &language in Language::ALL {
                let text = text_message(&message, language);
                let (length, most) = if text.chars().all(is_gsm) {
                    (text.chars().count(), 160)
                } else {
                    (text.encode_utf16().count(), 70)
                };
                assert!(length <= most, "{length} of {most}: {text}");
                match message.code() {
                    Some(code) => assert!(text.contains(code), "{text}"),
                    None => assert!(text.contains("2026-11-21"), "{text}"),
                }
            }
        }
    }

    #[test]
    fn a_repeat_is_the_same_mail() {
        let from = MailFrom::parse("墨水瓶 <blog@example.org>").unwrap();
        let make = |job_id, created| {
            let mail = RenderedMail::new(&messages("481516")[0], Language::Chinese, &public_url());
            let origin = Origin { job_id, created };
            let mail = mail.into_mail(&from, "ann@example.net", &origin).unwrap();
            String::from_utf8(mail.formatted()).unwrap()
        };
        let first = make(7, at());
        assert_eq!(make(7, at()), first);
        for line in [
            "From: =?utf-8?b?5aKo5rC055O2?= <blog@example.org>\r\n",
            "To: ann@example.net\r\n",
            "Message-ID: <inkpot-7-1795253459123456@example.org>\r\n",
            "Date: Sat, 21 Nov 2026 09:30:59 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
        ] {
            assert!(first.contains(line), "{line:?} is not in {first}");
        }
        assert!(first.is_ascii(), "any server takes it");
        assert_ne!(make(8, at()), first);
        // Not even a clock gone wild stops the mail.
        make(7, NaiveDateTime::MIN);
        make(7, NaiveDateTime::MAX);
    }

    #[test]
    fn an_address_that_is_none_is_refused_for_good_and_not_told() {
        let from = MailFrom::parse("blog@example.org").unwrap();
        for to in [
            "ann",
            "ann@",
            "@example.org",
            "ann@example.org\r\nBcc: x@y.z",
        ] {
            let mail = RenderedMail::new(&messages("1")[0], Language::English, &public_url());
            let origin = Origin {
                job_id: 1,
                created: at(),
            };
            match mail.into_mail(&from, to, &origin) {
                Err(Failure::Permanent(why)) => assert!(!why.contains("ann"), "{why}"),
                other => panic!("{to}: {:?}", other.map(|mail| mail.formatted())),
            }
        }
    }
}
