//! The client info: from where a request comes, which sessions and the audit keep.

use std::net::IpAddr;

/// Characters of a `User-Agent` that are kept.
const USER_AGENT_MAX: usize = 256;

/// Address and device of a client, and the id of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientInfo {
    pub ip: String,
    pub user_agent: String,
    pub request_id: String,
}

impl ClientInfo {
    /// Keeps the beginning of `user_agent`, without control characters.
    pub fn new(address: IpAddr, user_agent: &str, request_id: String) -> Self {
        Self {
            ip: address.to_canonical().to_string(),
            user_agent: user_agent
                .chars()
                .filter(|c| !c.is_control())
                .take(USER_AGENT_MAX)
                .collect(),
            request_id,
        }
    }

    /// The operator at the command line.
    pub fn operator() -> Self {
        Self {
            ip: "local".to_owned(),
            user_agent: "command line".to_owned(),
            request_id: ulid::Ulid::generate().to_string(),
        }
    }
}
