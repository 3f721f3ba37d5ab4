//! What is sent to owners of accounts, as it is counted.

use utoipa::ToSchema;

/// By which way a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Channel {
    Email,
    Mobile,
}

impl Channel {
    /// As its messages are counted: never changed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "mail",
            Self::Mobile => "text",
        }
    }
}

/// Why a message is sent. Each cause is counted by itself, so that whoever has one kind sent
/// again and again does not stop the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A code that verifies an address or a number.
    Verification,
    /// A code that recovers an account.
    Recovery,
    /// Something happened to the account.
    Notice,
}

impl Cause {
    /// As its messages are counted: never changed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verification => "verify",
            Self::Recovery => "recover",
            Self::Notice => "notice",
        }
    }
}

/// A message, as it is counted.
#[derive(Clone, Debug)]
pub struct Counted {
    pub user_id: i64,
    /// What the address or number is called; `None` where the account stands for it.
    pub target: Option<String>,
    pub cause: Cause,
    pub channel: Channel,
}
