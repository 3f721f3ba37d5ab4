//! Somebody who uses some accounts, in a thread of their own, through both processes at
//! random: nobody else touches these accounts then, so that every answer can be told
//! beforehand.

use serde_json::{Value, json};

use super::person::{Doubt, Person, Session};
use crate::harness::PASSWORD;
use crate::model::http::{Call, Reply};
use crate::model::random::Random;
use crate::model::world::Two;

/// Accounts of one keeper that are there at once.
const PERSONS: usize = 3;
/// Sessions of one account, beyond which nobody logs in.
const SESSIONS: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Step {
    Login,
    RefusedLogin,
    Show,
    Refresh,
    RefreshUsed,
    RefreshOlder,
    RefreshEnded,
    List,
    Logout,
    LogoutEverywhere,
    EndOne,
    EndOthers,
    ChangePassword,
    WrongPassword,
    Administer,
    Delete,
}

pub struct Keeper {
    pub number: usize,
    pub persons: Vec<Person>,
    /// Registrations that were not answered.
    pub unanswered: Vec<(String, String)>,
    pub admin: String,
    pub chance: Random,
    made: usize,
}

/// The body of a login.
pub fn login(account: &str, password: &str, remembered: bool) -> Call {
    let body = json!({ "account": account, "password": password, "remembered": remembered });
    Call::post("/user/login", body)
}

impl Keeper {
    pub fn new(number: usize, admin: &str, chance: Random) -> Self {
        Self {
            number,
            persons: Vec::new(),
            unanswered: Vec::new(),
            admin: admin.to_owned(),
            chance,
            made: 0,
        }
    }

    /// Makes so many steps.
    pub fn act(&mut self, two: &Two, steps: usize) {
        for _ in 0..steps {
            let there = self.persons.iter().filter(|person| person.is_there);
            if there.count() < PERSONS {
                self.register(two);
            } else {
                let at = self.chance.below(self.persons.len());
                // What is in doubt stays as it is until that is known.
                if self.persons[at].doubt.is_none() {
                    let step = self.step();
                    two.note(&format!("keeper {}: {step:?} of person {at}", self.number));
                    let mut act = Act {
                        two,
                        process: self.chance.below(2),
                        admin: &self.admin,
                        person: &mut self.persons[at],
                        chance: &mut self.chance,
                    };
                    act.make(step);
                }
            }
            two.acted();
        }
    }

    fn step(&mut self) -> Step {
        match self.chance.below(100) {
            0..16 => Step::Login,
            16..22 => Step::RefusedLogin,
            22..44 => Step::Show,
            44..58 => Step::Refresh,
            58..64 => Step::RefreshUsed,
            64..67 => Step::RefreshOlder,
            67..71 => Step::RefreshEnded,
            71..76 => Step::List,
            76..81 => Step::Logout,
            81..83 => Step::LogoutEverywhere,
            83..86 => Step::EndOne,
            86..88 => Step::EndOthers,
            88..91 => Step::ChangePassword,
            91..93 => Step::WrongPassword,
            93..98 => Step::Administer,
            _ => Step::Delete,
        }
    }

    fn register(&mut self, two: &Two) {
        self.made += 1;
        let username = format!("user-{}-{}", self.number, self.made);
        let email = format!("{username}@example.org");
        let body = json!({
            "email": email, "name": "Somebody", "password": PASSWORD, "username": username,
        });
        let process = self.chance.below(2);
        let Some(reply) = two.send(process, &Call::post("/user/reg", body.clone())) else {
            self.unanswered.push((email, username));
            return;
        };
        let answer = reply.expect(201).json();
        self.registered(&answer, email, username);
        if let Some(reply) = two.send(process, &Call::post("/user/reg", body)) {
            assert_eq!(reply.status, 409, "{reply:?}");
        }
    }

    /// Takes in the first token answer of an account.
    pub fn registered(&mut self, answer: &Value, email: String, username: String) {
        self.persons.push(Person {
            id: answer["userinfo"]["user_id"].as_i64().unwrap(),
            email,
            username,
            password: PASSWORD.to_owned(),
            earlier_passwords: Vec::new(),
            is_active: true,
            is_there: true,
            sessions: vec![Session::new(answer, false)],
            doubt: None,
        });
    }
}

/// One step about one person.
struct Act<'a> {
    two: &'a Two,
    process: usize,
    admin: &'a str,
    person: &'a mut Person,
    chance: &'a mut Random,
}

impl Act<'_> {
    fn make(&mut self, step: Step) {
        match step {
            Step::Login => self.log_in(),
            Step::RefusedLogin => self.be_refused(),
            Step::Show => self.show(),
            Step::Refresh => self.refresh(),
            Step::RefreshUsed => self.refresh_used(),
            Step::RefreshOlder => self.refresh_older(),
            Step::RefreshEnded => self.refresh_ended(),
            Step::List => self.list(),
            Step::Logout => self.end_by(|_| Call::post("/user/logout", json!({})), 204, false),
            Step::LogoutEverywhere => self.log_out_everywhere(),
            Step::EndOne => self.end_one(),
            Step::EndOthers => self.end_others(),
            Step::ChangePassword => self.change_password(),
            Step::WrongPassword => self.be_wrong(),
            Step::Administer => self.administer(),
            Step::Delete => self.delete(),
        }
    }

    /// Sends; with no answer this is in doubt.
    fn send(&mut self, call: &Call, doubt: Doubt) -> Option<Reply> {
        let reply = self.two.send(self.process, call);
        if reply.is_none() {
            self.person.doubt = Some(doubt);
        }
        reply
    }

    /// A live session with a token.
    fn live(&mut self) -> Option<(i64, String)> {
        let live = self
            .person
            .live()
            .filter(|session| !session.access.is_empty());
        let session = self.chance.pick_of(live)?;
        let token = self.chance.pick(&session.access).clone();
        Some((session.id, token))
    }

    fn account(&mut self) -> String {
        match self.chance.below(3) {
            0 => self.person.email.clone(),
            1 => self.person.email.to_uppercase(),
            _ => self.person.username.to_uppercase(),
        }
    }

    fn log_in(&mut self) {
        let (account, remembered) = (self.account(), self.chance.percent(30));
        if self.person.live().count() >= SESSIONS {
            return;
        }
        let call = login(&account, &self.person.password, remembered);
        let is_right = self.person.is_there && self.person.is_active;
        let doubt = if is_right {
            Doubt::LoggedIn { remembered }
        } else {
            Doubt::Nothing
        };
        match self.send(&call, doubt) {
            Some(reply) if is_right => {
                self.person.logged_in(reply, remembered);
            }
            Some(reply) => reply.problem(401, "invalid_credentials"),
            None => {}
        }
    }

    fn be_refused(&mut self) {
        let (account, earlier) = (self.account(), self.person.earlier_passwords.clone());
        let call = match (self.chance.below(3), self.chance.pick_of(earlier)) {
            (0, _) => login("nobody-at-all@example.org", PASSWORD, false),
            (1, Some(earlier)) => login(&account, &earlier, false),
            _ => login(&account, "something else entirely", false),
        };
        if let Some(reply) = self.send(&call, Doubt::Nothing) {
            reply.problem(401, "invalid_credentials");
        }
    }

    fn show(&mut self) {
        let (user_id, process, two) = (self.person.id, self.process, self.two);
        let sessions = self.person.sessions.iter_mut();
        let with_token = sessions.filter(|session| !session.access.is_empty());
        if let Some(session) = self.chance.pick_of(with_token) {
            let token = self.chance.pick(&session.access).clone();
            session.show(two, process, &token, user_id);
        }
    }

    fn refresh(&mut self) {
        let live = self.person.live();
        let live = live.filter_map(|session| Some((session.id, session.refresh.clone()?)));
        let Some((id, token)) = self.chance.pick_of(live) else {
            return;
        };
        if let Some(reply) = self.send(&refresh(&token), Doubt::Refreshed { id }) {
            let answer = reply.expect(200).json();
            self.person.session(id).refreshed(&answer);
        }
    }

    fn refresh_used(&mut self) {
        let live = self.person.live();
        let live = live.filter_map(|session| Some((session.id, session.used.clone()?)));
        let Some((id, used)) = self.chance.pick_of(live) else {
            return;
        };
        if let Some(reply) = self.send(&refresh(&used), Doubt::Nothing) {
            let answer = reply.expect(200).json();
            let session = self.person.session(id);
            assert_eq!(answer["refresh_token"], json!(session.refresh));
            session.add_access(&answer);
        }
    }

    /// A token from before the last one ends the session, for it was stolen.
    fn refresh_older(&mut self) {
        let live = self.person.live();
        let older = live.flat_map(|session| session.older.iter().map(|t| (session.id, t.clone())));
        let Some((id, token)) = self.chance.pick_of(older) else {
            return;
        };
        let doubt = Doubt::Ended {
            ids: vec![id],
            password: None,
        };
        if let Some(reply) = self.send(&refresh(&token), doubt) {
            reply.problem(401, "refresh_token_used");
            let process = self.process;
            self.person.session(id).end(process);
        }
    }

    fn refresh_ended(&mut self) {
        let ended = self.person.sessions.iter().filter(|s| !s.is_live());
        let tokens = ended.filter_map(|session| session.refresh.clone());
        let token = self.chance.pick_of(tokens);
        let token = token.unwrap_or_else(|| "AAAA".to_owned());
        if let Some(reply) = self.send(&refresh(&token), Doubt::Nothing) {
            reply.problem(401, "invalid_token");
        }
    }

    fn list(&mut self) {
        if let Some((id, token)) = self.live()
            && let Some(reply) = self.send(&sessions(&token), Doubt::Nothing)
        {
            check_list(self.person, id, &reply);
        }
    }

    /// Ends the session of a token, or all, by a request with it.
    fn end_by(&mut self, call: impl Fn(&Person) -> Call, status: u16, is_all: bool) {
        let Some((id, token)) = self.live() else {
            return;
        };
        let ids = if is_all {
            self.person.live().map(|session| session.id).collect()
        } else {
            vec![id]
        };
        let call = call(self.person).token(&token);
        let doubt = Doubt::Ended {
            ids: ids.clone(),
            password: None,
        };
        if let Some(reply) = self.send(&call, doubt) {
            reply.expect(status);
            for id in ids {
                let process = self.process;
                self.person.session(id).end(process);
            }
        }
    }

    fn log_out_everywhere(&mut self) {
        let call = |_: &Person| Call::post("/user/logout", json!({ "everywhere": true }));
        self.end_by(call, 204, true);
    }

    fn end_one(&mut self) {
        let Some((_, token)) = self.live() else {
            return;
        };
        let all: Vec<(i64, bool)> = self
            .person
            .sessions
            .iter()
            .map(|session| (session.id, session.is_live()))
            .collect();
        let (id, is_live) = *self.chance.pick(&all);
        let call = Call::delete(format!("/user/me/sessions/{id}")).token(&token);
        let doubt = if is_live {
            Doubt::Ended {
                ids: vec![id],
                password: None,
            }
        } else {
            Doubt::Nothing
        };
        if let Some(reply) = self.send(&call, doubt) {
            if is_live {
                reply.expect(204);
                let process = self.process;
                self.person.session(id).end(process);
            } else {
                reply.problem(404, "session_not_found");
            }
        }
    }

    fn others(&self, id: i64) -> Vec<i64> {
        let others = self.person.live().filter(|session| session.id != id);
        others.map(|session| session.id).collect()
    }

    fn end_others(&mut self) {
        let Some((id, token)) = self.live() else {
            return;
        };
        let doubt = Doubt::Ended {
            ids: self.others(id),
            password: None,
        };
        let call = Call::delete("/user/me/sessions").token(&token);
        if let Some(reply) = self.send(&call, doubt) {
            reply.expect(204);
            self.person.end_all(self.process, Some(id));
        }
    }

    fn change_password(&mut self) {
        let Some((id, token)) = self.live() else {
            return;
        };
        let new = format!("another horse {}", self.chance.next());
        let doubt = Doubt::Ended {
            ids: self.others(id),
            password: Some(new.clone()),
        };
        let call = new_password(&self.person.password, &new).token(&token);
        if let Some(reply) = self.send(&call, doubt) {
            reply.expect(204);
            self.person.changed_password(new);
            self.person.end_all(self.process, Some(id));
        }
    }

    fn be_wrong(&mut self) {
        let Some((_, token)) = self.live() else {
            return;
        };
        let wrong = "something else entirely";
        let call = match self.chance.below(2) {
            0 => new_password(wrong, "another horse, another staple"),
            _ => Call::delete("/user/me").with_body(json!({ "current_password": wrong })),
        };
        if let Some(reply) = self.send(&call.token(&token), Doubt::Nothing) {
            reply.problem(403, "wrong_password");
        }
    }

    /// An admin has somebody not be active, or be so again.
    fn administer(&mut self) {
        let path = format!("/user/{}", self.person.id);
        let becomes_active = !self.person.is_active || self.chance.percent(20);
        let call = Call::patch(path, json!({ "is_active": becomes_active })).token(self.admin);
        let doubt = match (self.person.is_there, becomes_active) {
            (false, _) => Doubt::Nothing,
            (true, true) => Doubt::Activated,
            (true, false) => Doubt::Deactivated,
        };
        let Some(reply) = self.send(&call, doubt) else {
            return;
        };
        if !self.person.is_there {
            reply.problem(404, "user_not_found");
            return;
        }
        reply.expect(200);
        self.person.is_active = becomes_active;
        if !becomes_active {
            self.person.end_all(self.process, None);
        }
    }

    /// Somebody leaves, or an admin deletes them.
    fn delete(&mut self) {
        let live = self.live();
        let call = match live {
            Some((_, token)) if self.chance.percent(50) => {
                let body = json!({ "current_password": self.person.password });
                Call::delete("/user/me").with_body(body).token(&token)
            }
            _ => Call::delete(format!("/user/{}", self.person.id)).token(self.admin),
        };
        let doubt = if self.person.is_there {
            Doubt::Deleted
        } else {
            Doubt::Nothing
        };
        if let Some(reply) = self.send(&call, doubt) {
            if self.person.is_there {
                reply.expect(204);
                self.person.is_there = false;
                self.person.end_all(self.process, None);
            } else {
                reply.problem(404, "user_not_found");
            }
        }
    }
}

pub fn refresh(token: &str) -> Call {
    Call::post("/user/refresh", json!({ "refresh_token": token }))
}

pub fn sessions(token: &str) -> Call {
    Call::get("/user/me/sessions").token(token)
}

pub fn new_password(current: &str, new: &str) -> Call {
    let body = json!({ "current_password": current, "new_password": new });
    Call::put("/user/me/password", body)
}

/// Sees that a list has exactly the sessions that live; `own`: the one that asked.
pub fn check_list(person: &Person, own: i64, reply: &Reply) {
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer = reply.json();
    let mut found: Vec<(i64, bool, bool)> = listed(&answer)
        .map(|row| {
            let flag = |name: &str| row[name].as_bool().unwrap();
            let id = row["session_id"].as_i64().unwrap();
            (id, flag("remembered"), flag("current"))
        })
        .collect();
    found.sort_unstable();
    let live = person.live();
    let mut expected: Vec<_> = live.map(|s| (s.id, s.remembered, s.id == own)).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// The sessions of a list.
pub fn listed(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["sessions"].as_array().unwrap().iter()
}
