//! The bodies of registration, login, refresh and logout.

use serde_json::{Value, json};

use super::fields::{ACCOUNT, EMAIL, MOBILE, NAME, NEW_PASSWORD, PASSWORD, USERNAME};
use crate::accounts::password::Password;
use crate::accounts::types::{Account, Email, Mobile, Name, NewAccount, Username};
use crate::core::settings::Settings;
use crate::error::Code;
use crate::http::body::{Document, Field, Input, Kind};

/// Whether the session that begins lasts for long.
const REMEMBERED: Field = Field {
    name: "remembered",
    required: false,
    kind: Kind::Boolean,
    description: "Two weeks instead of eight hours (settings of the server) from the last refresh.",
    example: "true",
};

/// Where its refresh token goes.
const COOKIE: Field = Field {
    name: "cookie",
    required: false,
    kind: Kind::Boolean,
    description: "The refresh token goes into a cookie that scripts cannot read, and not into the answer.",
    example: "false",
};

/// What a password is compared with, even where it does not fit its own field, so that all
/// faults are told at once.
pub fn own_data(input: &Input) -> Vec<String> {
    ["email", "name", "username"]
        .iter()
        .filter_map(|name| input.peek(name))
        .collect()
}

/// A person who registers, and begins a session with that.
pub struct Registration {
    pub account: NewAccount,
    pub remembered: bool,
    pub cookie: bool,
}

impl Document for Registration {
    const NAME: &'static str = "Registration";
    const IS_COSTLY: bool = true;
    const FIELDS: &'static [Field] = &[
        Field {
            name: "email",
            required: true,
            kind: EMAIL,
            description: "Unique.",
            example: "ann@example.org",
        },
        Field {
            name: "name",
            required: true,
            kind: NAME,
            description: "Shown with every post; trimmed.",
            example: "Ann Smith",
        },
        Field {
            name: "password",
            required: true,
            kind: NEW_PASSWORD,
            description: "8 characters or more, at most 1024 bytes; not all digits, not a common one, not close to the other fields.",
            example: "correct horse battery staple",
        },
        Field {
            name: "username",
            required: false,
            kind: USERNAME,
            description: "Unique.",
            example: "ann-smith",
        },
        Field {
            name: "mobile",
            required: false,
            kind: MOBILE,
            description: "Unique.",
            example: "+31612345678",
        },
        REMEMBERED,
        COOKIE,
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let own = own_data(input);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let email = input.parse_pasted("email", Email::parse);
        let name = input.parse("name", Name::parse);
        let username = input.parse("username", Username::choose);
        let mobile = input.parse_pasted("mobile", Mobile::choose);
        let password = input.parse("password", |text| Password::choose(text, &own));
        let remembered = input.boolean("remembered").unwrap_or(false);
        let cookie = input.boolean("cookie").unwrap_or(false);
        let account = NewAccount {
            email: email?,
            name: name?,
            username,
            mobile,
            password: password?,
        };
        Some(Self {
            account,
            remembered,
            cookie,
        })
    }
}

/// Somebody who logs in.
pub struct Login {
    pub account: Account,
    pub password: Password,
    pub remembered: bool,
    pub cookie: bool,
}

/// The field `account`, and the names that it may have instead.
const ACCOUNT_NAMES: [&str; 4] = ["account", "email", "username", "mobile"];

impl Document for Login {
    const NAME: &'static str = "Login";
    const FIELDS: &'static [Field] = &[
        Field {
            name: "account",
            required: false,
            kind: ACCOUNT,
            description: "E-mail address, username or mobile number. It may be called `email`, `username` or `mobile` instead: exactly one of the four is given.",
            example: "ann@example.org",
        },
        Field {
            name: "email",
            required: false,
            kind: ACCOUNT,
            description: "The same as account.",
            example: "ann@example.org",
        },
        Field {
            name: "username",
            required: false,
            kind: ACCOUNT,
            description: "The same as account.",
            example: "ann-smith",
        },
        Field {
            name: "mobile",
            required: false,
            kind: ACCOUNT,
            description: "The same as account.",
            example: "+31612345678",
        },
        Field {
            name: "password",
            required: true,
            kind: PASSWORD,
            description: "The account's password.",
            example: "correct horse battery staple",
        },
        REMEMBERED,
        COOKIE,
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let password = input.parse("password", |text| Ok(Password::attempt(text)));
        let given: Vec<&'static str> = ACCOUNT_NAMES
            .into_iter()
            .filter(|name| input.has(name))
            .collect();
        let account = match given.as_slice() {
            [name] => input.parse_pasted(name, |text| Ok(Account::of(text))),
            [] => {
                input.fault("account", Code::FieldMissing, "is required");
                None
            }
            several => {
                for name in several {
                    input.fault(
                        name,
                        Code::FieldConflict,
                        "give one of account, email, username, mobile",
                    );
                }
                None
            }
        };
        let remembered = input.boolean("remembered").unwrap_or(false);
        let cookie = input.boolean("cookie").unwrap_or(false);
        Some(Self {
            account: account?,
            password: password?,
            remembered,
            cookie,
        })
    }

    fn example() -> Value {
        json!({
            "account": "ann@example.org", "password": "correct horse battery staple",
            "remembered": true,
        })
    }
}

/// A refresh token that is taken for its successor.
pub struct RefreshRequest {
    /// Absent when it is in the cookie.
    pub refresh_token: Option<String>,
}

impl Document for RefreshRequest {
    const NAME: &'static str = "Refresh";
    const MAY_BE_ABSENT: bool = true;
    const FIELDS: &'static [Field] = &[Field {
        name: "refresh_token",
        required: false,
        kind: ACCOUNT,
        description: "From the last login or refresh; absent when it is in the cookie.",
        example: "AAAAAAAAAAEAAAAAr2bW0Yz5o9c1v9m6nq7k3H4yT0sUe8Xf2LgBdRjPwQk",
    }];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        Some(Self {
            refresh_token: input.text("refresh_token", &[]),
        })
    }
}

/// What is ended by logging out.
pub struct Logout {
    pub everywhere: bool,
    /// Names the session as well as a token or the cookie does.
    pub refresh_token: Option<String>,
}

impl Document for Logout {
    const NAME: &'static str = "Logout";
    const MAY_BE_ABSENT: bool = true;
    const FIELDS: &'static [Field] = &[
        Field {
            name: "everywhere",
            required: false,
            kind: Kind::Boolean,
            description: "Every session of the user, not this one only.",
            example: "true",
        },
        Field {
            name: "refresh_token",
            required: false,
            kind: ACCOUNT,
            description: "Of the session that ends, where there is neither a token nor a cookie.",
            example: "AAAAAAAAAAEAAAAAr2bW0Yz5o9c1v9m6nq7k3H4yT0sUe8Xf2LgBdRjPwQk",
        },
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        Some(Self {
            everywhere: input.boolean("everywhere").unwrap_or(false),
            refresh_token: input.text("refresh_token", &[]),
        })
    }

    fn example() -> Value {
        json!({ "everywhere": true })
    }
}
