//! The bodies of what admins do with accounts.

use utoipa::PartialSchema;

use super::access_bodies;
use super::fields::{EMAIL, MOBILE, NAME, NEW_PASSWORD, USERNAME, needed};
use super::views::Role;
use crate::accounts::password::Password;
use crate::accounts::types::{AdminChange, Email, Mobile, Name, Username};
use crate::core::settings::Settings;
use crate::error::Code;
use crate::http::body::{Document, Fault, Field, Input, Kind};

const ROLE: Field = Field {
    name: "role",
    required: false,
    kind: Kind::Choice {
        name: "Role",
        schema: <Role as PartialSchema>::schema,
    },
    description: "`user` or `admin`.",
    example: "admin",
};

/// Whether the role is that of admins.
fn read_role(input: &mut Input) -> Option<bool> {
    input.parse("role", |role| match role {
        "admin" => Ok(true),
        "user" => Ok(false),
        _ => Err(Fault(Code::RoleInvalid, "is user or admin")),
    })
}

/// A user whom an admin creates.
pub struct UserCreation {
    pub email: Email,
    pub name: Name,
    pub username: Option<Username>,
    pub mobile: Option<Mobile>,
    /// `None` has the person choose one.
    pub password: Option<Password>,
    pub is_admin: bool,
}

impl Document for UserCreation {
    const NAME: &'static str = "UserCreation";
    const IS_COSTLY: bool = true;
    const FIELDS: &'static [Field] = &[
        Field {
            name: "email",
            required: true,
            kind: EMAIL,
            description: "Unique.",
            example: "bob@example.org",
        },
        Field {
            name: "name",
            required: true,
            kind: NAME,
            description: "Shown with every post; trimmed.",
            example: "Bob Jones",
        },
        Field {
            name: "username",
            required: false,
            kind: USERNAME,
            description: "Unique.",
            example: "bob-jones",
        },
        Field {
            name: "mobile",
            required: false,
            kind: MOBILE,
            description: "Unique.",
            example: "+31687654321",
        },
        Field {
            name: "password",
            required: false,
            kind: NEW_PASSWORD,
            description: "As for a registration. Without one the person gets a mail with a code to choose one.",
            example: "battery staple, correct horse",
        },
        ROLE,
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let own = access_bodies::own_data(input);
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let email = input.parse_pasted("email", Email::parse);
        let name = input.parse("name", Name::parse);
        let username = input.parse("username", Username::choose);
        let mobile = input.parse_pasted("mobile", Mobile::choose);
        let password = input.parse("password", |text| Password::choose(text, &own));
        let is_admin = read_role(input);
        Some(Self {
            email: email?,
            name: name?,
            username,
            mobile,
            password,
            is_admin: is_admin.unwrap_or(false),
        })
    }
}

/// What an admin changes of a user.
pub struct UserPatch(pub AdminChange);

impl Document for UserPatch {
    const NAME: &'static str = "UserPatch";
    const NOT_NULL: &'static [&'static str] = &["name"];
    const FIELDS: &'static [Field] = &[
        Field {
            name: "is_active",
            required: false,
            kind: Kind::Boolean,
            description: "A user who is not active cannot log in; their sessions end.",
            example: "false",
        },
        ROLE,
        Field {
            name: "name",
            required: false,
            kind: NAME,
            description: "Shown with every post; trimmed.",
            example: "Ann Smith",
        },
    ];

    fn read(input: &mut Input, _: &Settings) -> Option<Self> {
        let is_active = input.boolean("is_active");
        let is_admin = read_role(input);
        let name = needed(input, "name", Name::parse);
        Some(Self(AdminChange {
            is_active,
            is_admin,
            name,
        }))
    }
}
