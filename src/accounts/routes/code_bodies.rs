//! The bodies of routes that send and take codes.

use unicode_normalization::UnicodeNormalization;
use utoipa::PartialSchema;

use super::fields::{ACCOUNT, NEW_PASSWORD};
use crate::accounts::notifications::Channel;
use crate::accounts::password::Password;
use crate::accounts::types::Account;
use crate::core::settings::Settings;
use crate::core::text::is_invisible;
use crate::error::Code;
use crate::http::body::{Document, Fault, Field, Input, Kind};

const CHANNEL: Field = Field {
    name: "channel",
    required: true,
    kind: Kind::Choice {
        name: "Channel",
        schema: <Channel as PartialSchema>::schema,
    },
    description: "`email` or `mobile`.",
    example: "email",
};

const CODE: Field = Field {
    name: "code",
    required: true,
    kind: Kind::Text {
        min: 6,
        max: Some(6),
        pattern: Some("^[0-9]{6}$"),
        format: None,
    },
    description: "The six digits that were sent last.",
    example: "271828",
};

const WHOSE: Field = Field {
    name: "account",
    required: true,
    kind: ACCOUNT,
    description: "E-mail address, username or mobile number.",
    example: "ann@example.org",
};

fn channel(text: &str) -> Result<Channel, Fault> {
    match text {
        "email" => Ok(Channel::Email),
        "mobile" => Ok(Channel::Mobile),
        _ => Err(Fault(Code::ChannelInvalid, "is email or mobile")),
    }
}

/// Six digits, as they come out of a message: what stands around and between them and the wide
/// digits of some keyboards are no mistakes.
fn code(text: &str) -> Result<String, Fault> {
    let is_digit = |c: &char| !is_invisible(*c) && !matches!(c, '-' | '\u{2010}'..='\u{2015}');
    let code: String = text.nfkc().filter(is_digit).collect();
    if code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()) {
        Ok(code)
    } else {
        Err(Fault(Code::CodeMalformed, "has six digits"))
    }
}

/// Where a code is to be sent.
pub struct VerificationOrder {
    pub channel: Channel,
}

impl Document for VerificationOrder {
    const NAME: &'static str = "VerificationOrder";
    const FIELDS: &'static [Field] = &[CHANNEL];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let channel = input.parse("channel", channel);
        Some(Self { channel: channel? })
    }
}

/// The code that was sent.
pub struct Verification {
    pub channel: Channel,
    pub code: String,
}

impl Document for Verification {
    const NAME: &'static str = "Verification";
    const FIELDS: &'static [Field] = &[CHANNEL, CODE];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let channel = input.parse("channel", channel);
        let code = input.parse_pasted("code", code);
        Some(Self {
            channel: channel?,
            code: code?,
        })
    }
}

/// Somebody who has lost a password.
pub struct Forgotten {
    pub account: Account,
}

impl Document for Forgotten {
    const NAME: &'static str = "Forgotten";
    const FIELDS: &'static [Field] = &[WHOSE];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let account = input.parse_pasted("account", |text| Ok(Account::of(text)));
        Some(Self { account: account? })
    }
}

/// A new password, by a code.
pub struct PasswordResetRequest {
    pub account: Account,
    pub code: String,
    pub reset_id: Option<String>,
    /// Judged once more when the user's own data are known.
    pub new_password: String,
}

impl Document for PasswordResetRequest {
    const NAME: &'static str = "PasswordReset";
    const IS_COSTLY: bool = true;
    const FIELDS: &'static [Field] = &[
        WHOSE,
        CODE,
        Field {
            name: "reset_id",
            required: false,
            kind: ACCOUNT,
            description: "From the answer to the request for the code.",
            example: "r2bW0Yz5o9c1v9m6nq7k3H4yT0sUe8Xf2LgBdRjPwQk",
        },
        Field {
            name: "new_password",
            required: true,
            kind: NEW_PASSWORD,
            description: "8 characters or more, at most 1024 bytes; not all digits, not a common one, not close to your own data.",
            example: "another horse, another staple",
        },
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let account = input.parse_pasted("account", |text| Ok(Account::of(text)));
        let code = input.parse_pasted("code", code);
        let reset_id = input.text("reset_id", &[]);
        // What can be said without knowing anybody is said before the code is tried.
        let new_password = input.parse("new_password", |text| {
            Password::choose(text, &[]).map(|_| text.to_owned())
        });
        Some(Self {
            account: account?,
            code: code?,
            reset_id,
            new_password: new_password?,
        })
    }
}
