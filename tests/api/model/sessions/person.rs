//! Somebody with an account, as the model knows them: which tokens work, which do not,
//! and which may either way, for the process does not know yet of an end in the other.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::model::http::{Call, Reply};
use crate::model::world::{SOON, Two};

/// Seconds that sessions last.
const LASTS: i64 = 28_800;
const LASTS_REMEMBERED: i64 = 1_209_600;
/// Tokens of each kind that are kept of a session.
const KEPT: usize = 4;

/// How a session ended.
#[derive(Clone, Debug)]
pub struct End {
    /// The process that ended it, which refuses its tokens from then on.
    by: usize,
    at: Instant,
    /// Whether a process has refused one, which it does for ever then.
    refused: [bool; 2],
}

#[derive(Clone, Debug)]
pub struct Session {
    pub id: i64,
    pub remembered: bool,
    /// Access tokens, the newest last; none where their answer was lost.
    pub access: Vec<String>,
    /// `None` where the answer that had it was lost.
    pub refresh: Option<String>,
    /// The token that was taken for the present one, and gets it again.
    pub used: Option<String>,
    /// Refresh tokens from before that one.
    pub older: Vec<String>,
    pub end: Option<End>,
}

impl Session {
    /// Of a token answer.
    pub fn new(answer: &Value, remembered: bool) -> Self {
        let token = answer["token"].as_str().unwrap().to_owned();
        let session = Self {
            id: session_of(&token),
            remembered,
            access: vec![token],
            refresh: Some(answer["refresh_token"].as_str().unwrap().to_owned()),
            used: None,
            older: Vec::new(),
            end: None,
        };
        session.check_lasting(answer);
        session
    }

    /// One whose answer was lost.
    pub fn lost(id: i64, remembered: bool) -> Self {
        Self {
            id,
            remembered,
            access: Vec::new(),
            refresh: None,
            used: None,
            older: Vec::new(),
            end: None,
        }
    }

    fn check_lasting(&self, answer: &Value) {
        let lasts = if self.remembered {
            LASTS_REMEMBERED
        } else {
            LASTS
        };
        let told = answer["refresh_expires_in"].as_i64().unwrap();
        assert!((lasts - 60..=lasts).contains(&told), "{answer}");
        assert_eq!(answer["expires_in"], 3600);
    }

    pub fn is_live(&self) -> bool {
        self.end.is_none()
    }

    pub fn end(&mut self, by: usize) {
        self.end.get_or_insert(End {
            by,
            at: Instant::now(),
            refused: [false; 2],
        });
    }

    /// Takes in the answer to a refresh with the present token.
    pub fn refreshed(&mut self, answer: &Value) {
        let next = answer["refresh_token"].as_str().unwrap().to_owned();
        let before = self.refresh.replace(next.clone());
        assert_ne!(before.as_ref(), Some(&next), "the same token again");
        if let Some(token) = before {
            self.older.extend(self.used.replace(token));
            self.older.drain(..self.older.len().saturating_sub(KEPT));
        }
        self.check_lasting(answer);
        self.add_access(answer);
    }

    /// Takes in an access token of the session.
    pub fn add_access(&mut self, answer: &Value) {
        let token = answer["token"].as_str().unwrap().to_owned();
        assert_eq!(session_of(&token), self.id);
        self.access.push(token);
        self.access.drain(..self.access.len().saturating_sub(KEPT));
    }

    /// A process that was just started knows nothing, and so nothing old.
    pub fn started_anew(&mut self, process: usize) {
        if let Some(end) = &mut self.end {
            end.refused[process] = true;
        }
    }

    pub fn is_refused_everywhere(&self) -> bool {
        self.end.as_ref().is_some_and(|end| {
            let by = end.by;
            end.refused[1 - by]
        })
    }

    /// Shows an access token to a process; whether it was taken. `None` where the process
    /// was killed meanwhile.
    pub fn show(&mut self, two: &Two, process: usize, token: &str, user_id: i64) -> Option<bool> {
        let sent = Instant::now();
        let reply = two.send(process, &Call::get("/user/me").token(token))?;
        let Some(end) = &mut self.end else {
            let reply = reply.expect(200);
            assert_eq!(reply.json()["userinfo"]["user_id"], user_id);
            return Some(true);
        };
        if reply.status == 401 {
            reply.problem(401, "session_ended");
            end.refused[process] = true;
            return Some(false);
        }
        let reply = reply.expect(200);
        let may_be = end.by != process
            && !end.refused[process]
            && sent.saturating_duration_since(end.at) <= SOON;
        assert!(may_be, "an ended session goes on: {end:?} {reply:?}");
        Some(true)
    }
}

/// The session that a token is of, which it says of itself.
fn session_of(token: &str) -> i64 {
    let payload = token.split('.').nth(1).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let sid = &claims["sid"];
    sid.as_i64()
        .or_else(|| sid.as_str()?.parse().ok())
        .expect("a session's id")
}

/// What became of a request is not known, for the process was killed: it happened whole
/// or not at all.
#[derive(Clone, Debug)]
pub enum Doubt {
    /// It changes nothing.
    Nothing,
    /// There may be one more session.
    LoggedIn {
        remembered: bool,
    },
    /// This session's token may have been taken for another one.
    Refreshed {
        id: i64,
    },
    /// These sessions may have ended, and with them the password be this one.
    Ended {
        ids: Vec<i64>,
        password: Option<String>,
    },
    Deactivated,
    Activated,
    Deleted,
}

#[derive(Clone, Debug)]
pub struct Person {
    pub id: i64,
    pub email: String,
    pub username: String,
    pub password: String,
    pub earlier_passwords: Vec<String>,
    pub is_active: bool,
    pub is_there: bool,
    pub sessions: Vec<Session>,
    pub doubt: Option<Doubt>,
}

impl Person {
    pub fn session(&mut self, id: i64) -> &mut Session {
        let mut sessions = self.sessions.iter_mut();
        sessions.find(|session| session.id == id).unwrap()
    }

    pub fn live(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| session.is_live())
    }

    pub fn end_all(&mut self, by: usize, except: Option<i64>) {
        for session in &mut self.sessions {
            if Some(session.id) != except {
                session.end(by);
            }
        }
    }

    pub fn changed_password(&mut self, password: String) {
        let before = std::mem::replace(&mut self.password, password);
        self.earlier_passwords.push(before);
    }

    /// Takes in the answer to a login with the right password.
    pub fn logged_in(&mut self, reply: Reply, remembered: bool) -> i64 {
        let answer = reply.expect(200).json();
        assert_eq!(answer["userinfo"]["user_id"], self.id);
        let session = Session::new(&answer, remembered);
        let id = session.id;
        assert!(self.sessions.iter().all(|known| known.id != id));
        self.sessions.push(session);
        id
    }
}
