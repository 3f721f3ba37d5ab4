//! The bodies of what users do with their own account.

use super::fields::{
    BIO, EMAIL, IMAGE, MOBILE, NAME, NEW_PASSWORD, PASSWORD, USERNAME, needed, needed_pasted, shown,
};
use crate::accounts::password::Password;
use crate::accounts::types::{Bio, Email, ImageUrl, Mobile, Name, ProfileChange, Username};
use crate::core::settings::Settings;
use crate::http::body::{Document, Field, Input};

/// What the caller changes of their profile.
pub struct ProfilePatch {
    pub change: ProfileChange,
    pub current_password: Option<Password>,
}

const CURRENT_PASSWORD: Field = Field {
    name: "current_password",
    required: true,
    kind: PASSWORD,
    description: "The password as it is.",
    example: "correct horse battery staple",
};

impl Document for ProfilePatch {
    const NAME: &'static str = "ProfilePatch";
    const NOT_NULL: &'static [&'static str] = &["name", "email"];
    const FIELDS: &'static [Field] = &[
        Field {
            name: "name",
            required: false,
            kind: NAME,
            description: "Shown with every post; trimmed.",
            example: "Ann Smith",
        },
        Field {
            name: "email",
            required: false,
            kind: EMAIL,
            description: "Unique.",
            example: "ann@example.org",
        },
        Field {
            name: "username",
            required: false,
            kind: USERNAME,
            description: "Unique; null takes it away.",
            example: "ann-smith",
        },
        Field {
            name: "mobile",
            required: false,
            kind: MOBILE,
            description: "Unique; null takes it away.",
            example: "+31612345678",
        },
        Field {
            name: "bio",
            required: false,
            kind: BIO,
            description: "What one says of oneself, for everybody: text without markup, at most 1,000 characters, trimmed. \
                          Null, and what shows nothing, takes it away.",
            example: "Writes about birds.",
        },
        Field {
            name: "image",
            required: false,
            kind: IMAGE,
            description: "Where a picture of one is, for everybody: an http or https URL. Null, and an empty text, takes it away.",
            example: "https://example.org/ann.jpg",
        },
        Field {
            required: false,
            ..CURRENT_PASSWORD
        },
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let name = needed(input, "name", Name::parse);
        let email = needed_pasted(input, "email", Email::parse);
        Some(Self {
            change: ProfileChange {
                name,
                email,
                username: input.change("username", Username::parse),
                mobile: input.change_pasted("mobile", Mobile::parse),
                bio: shown(input, "bio", &['\n', '\r', '\t'], Bio::parse),
                image: shown(input, "image", &[], ImageUrl::parse),
            },
            current_password: input.parse("current_password", |text| Ok(Password::attempt(text))),
        })
    }
}

/// A new password, with the old one.
pub struct NewPassword {
    pub current: Password,
    /// Judged when the user's own data are known.
    pub new: String,
}

impl Document for NewPassword {
    const NAME: &'static str = "NewPassword";
    const FIELDS: &'static [Field] = &[
        CURRENT_PASSWORD,
        Field {
            name: "new_password",
            required: true,
            kind: NEW_PASSWORD,
            description: "8 characters or more, at most 1024 bytes; not all digits, not a common one, not close to your own data.",
            example: "another horse, another staple",
        },
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let current = input.parse("current_password", |text| Ok(Password::attempt(text)));
        let new = input.text("new_password", &[]);
        Some(Self {
            current: current?,
            new: new?,
        })
    }
}

/// The password, for what cannot be taken back.
pub struct Confirmation {
    pub current: Password,
}

impl Document for Confirmation {
    const NAME: &'static str = "Confirmation";
    const FIELDS: &'static [Field] = &[CURRENT_PASSWORD];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let current = input.parse("current_password", |text| Ok(Password::attempt(text)));
        Some(Self { current: current? })
    }
}
