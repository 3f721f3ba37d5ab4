//! The fields of bodies about users, as more than one body has them.

use utoipa::openapi::schema::KnownFormat;

use crate::accounts::types::{BIO_MAX, EMAIL_MAX, IMAGE_MAX, NAME_MAX, USERNAME_MAX, USERNAME_MIN};
use crate::error::Code;
use crate::http::body::{Change, Fault, Input, Kind, NO_CONTROLS, VISIBLE};

pub const EMAIL: Kind = Kind::Text {
    min: 3,
    max: Some(EMAIL_MAX),
    pattern: None,
    format: Some(KnownFormat::Email),
};
/// What usernames are made of; they have a letter.
pub const USERNAME_PATTERN: &str = "^[0-9_.-]*[A-Za-z][A-Za-z0-9_.-]*$";
pub const USERNAME: Kind = Kind::Text {
    min: USERNAME_MIN,
    max: Some(USERNAME_MAX),
    pattern: Some(USERNAME_PATTERN),
    format: None,
};
pub const BIO: Kind = Kind::Text {
    min: 0,
    max: Some(BIO_MAX),
    pattern: Some("^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$"),
    format: None,
};
pub const IMAGE: Kind = Kind::Text {
    min: 0,
    max: Some(IMAGE_MAX),
    pattern: Some("^\\s*$|^\\s*[Hh][Tt][Tt][Pp][Ss]?://"),
    format: None,
};
pub const MOBILE: Kind = Kind::Text {
    min: 9,
    max: Some(32),
    pattern: Some("^\\+[1-9][0-9]{7,14}$"),
    format: None,
};
pub const NEW_PASSWORD: Kind = Kind::Text {
    min: 8,
    max: Some(1024),
    pattern: Some(NO_CONTROLS),
    format: Some(KnownFormat::Password),
};
pub const PASSWORD: Kind = Kind::Text {
    min: 0,
    max: None,
    pattern: Some(NO_CONTROLS),
    format: Some(KnownFormat::Password),
};
pub const ACCOUNT: Kind = Kind::Text {
    min: 0,
    max: None,
    pattern: Some(NO_CONTROLS),
    format: None,
};
pub const NAME: Kind = Kind::Text {
    min: 1,
    max: Some(NAME_MAX),
    pattern: Some(VISIBLE),
    format: None,
};

/// A field that may be left as it is, but not cleared.
pub fn needed<T>(
    input: &mut Input,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, Fault>,
) -> Option<T> {
    let change = input.change(name, parse);
    not_cleared(input, name, change)
}

/// The same for what is copied from elsewhere.
pub fn needed_pasted<T>(
    input: &mut Input,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, Fault>,
) -> Option<T> {
    let change = input.change_pasted(name, parse);
    not_cleared(input, name, change)
}

fn not_cleared<T>(input: &mut Input, name: &'static str, change: Change<T>) -> Option<T> {
    match change {
        Change::Set(value) => Some(value),
        Change::Keep => None,
        Change::Clear => {
            input.fault(name, Code::FieldNotClearable, "cannot be null");
            None
        }
    }
}

/// A field that everybody sees: null and nothing to be seen clear it.
pub fn shown<T>(
    input: &mut Input,
    name: &'static str,
    allowed: &[char],
    parse: impl FnOnce(&str) -> Result<Option<T>, Fault>,
) -> Change<T> {
    if input.is_null(name) {
        return Change::Clear;
    }
    let Some(text) = input.text(name, allowed) else {
        return Change::Keep;
    };
    match parse(&text) {
        Ok(Some(value)) => Change::Set(value),
        Ok(None) => Change::Clear,
        Err(Fault(code, detail)) => {
            input.fault(name, code, detail);
            Change::Keep
        }
    }
}
