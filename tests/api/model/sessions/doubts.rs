//! What was asked of a process that was killed before it answered: looked up when the
//! database is done with it. It happened whole, or not at all.

use super::keeper::{Keeper, check_list, listed, login, refresh, sessions};
use super::person::{Doubt, Person, Session};
use crate::harness::PASSWORD;
use crate::model::http::Call;
use crate::model::world::Two;

impl Keeper {
    /// Learns from a process that was just started what became of all that is in doubt.
    pub fn resolve(&mut self, two: &Two, fresh: usize) {
        for person in &mut self.persons {
            for session in &mut person.sessions {
                session.started_anew(fresh);
            }
            if let Some(doubt) = person.doubt.take() {
                two.note(&format!("person {} doubts {doubt:?}", person.email));
                let admin = &self.admin;
                let mut resolving = Resolving {
                    two,
                    fresh,
                    admin,
                    person,
                };
                resolving.resolve(doubt);
            }
        }
        for (email, username) in std::mem::take(&mut self.unanswered) {
            let reply = two.ask(fresh, &login(&email, PASSWORD, false));
            if reply.status == 401 {
                reply.problem(401, "invalid_credentials");
                continue;
            }
            let answer = reply.expect(200).json();
            assert_eq!(answer["userinfo"]["username"], username);
            self.registered(&answer, email, username);
            let person = self.persons.last_mut().unwrap();
            // With the account there is the session that it began with.
            let doubt = Doubt::LoggedIn { remembered: false };
            let before = person.sessions.len();
            let mut resolving = Resolving {
                two,
                fresh,
                admin: &self.admin,
                person,
            };
            resolving.compare(&[], Some(&doubt));
            let known = resolving.person.sessions.len();
            assert_eq!(known, before + 1, "a whole account");
        }
    }
}

struct Resolving<'a> {
    two: &'a Two,
    fresh: usize,
    admin: &'a str,
    person: &'a mut Person,
}

impl Resolving<'_> {
    /// Whether the right password, or this one, opens a session.
    fn opens(&mut self, password: &str) -> bool {
        let reply = self
            .two
            .ask(self.fresh, &login(&self.person.username, password, false));
        if reply.status == 401 {
            reply.problem(401, "invalid_credentials");
            return false;
        }
        self.person.logged_in(reply, false);
        true
    }

    fn resolve(&mut self, doubt: Doubt) {
        let password = self.person.password.clone();
        match doubt {
            Doubt::Nothing => {}
            Doubt::LoggedIn { .. } => {
                assert!(self.opens(&password));
                self.compare(&[], Some(&doubt));
            }
            Doubt::Refreshed { id } => self.refresh_again(id),
            Doubt::Ended {
                ids,
                password: None,
            } => {
                assert!(self.opens(&password));
                self.compare(&ids, None);
            }
            Doubt::Ended {
                ids,
                password: Some(new),
            } => {
                let is_done = self.opens(&new);
                // One of the two opens, and only one.
                assert_ne!(is_done, self.opens(&password));
                if is_done {
                    self.person.changed_password(new);
                }
                let gone = self.compare(&ids, None);
                assert!(ids.is_empty() || gone == is_done, "half a change");
            }
            Doubt::Deactivated => {
                self.person.is_active = self.opens(&password);
                if self.person.is_active {
                    self.compare(&[], None);
                } else {
                    self.person.end_all(self.fresh, None);
                }
            }
            Doubt::Activated => {
                // It may have been active already.
                let was_active = self.person.is_active;
                self.person.is_active = self.opens(&password);
                assert!(self.person.is_active || !was_active);
                if self.person.is_active {
                    self.compare(&[], None);
                }
            }
            Doubt::Deleted => {
                let was_active = self.person.is_active;
                if self.opens(&password) {
                    self.compare(&[], None);
                } else if was_active {
                    self.person.is_there = false;
                    self.person.end_all(self.fresh, None);
                } else {
                    self.delete_again();
                }
            }
        }
    }

    /// Whether somebody is there still who is not active is seen by no login: they are
    /// deleted once more.
    fn delete_again(&mut self) {
        let call = Call::delete(format!("/user/{}", self.person.id)).token(self.admin);
        let reply = self.two.ask(self.fresh, &call);
        if reply.status != 204 {
            reply.problem(404, "user_not_found");
        }
        self.person.is_there = false;
        self.person.end_all(self.fresh, None);
    }

    /// The token is sent again: it is the present one, or a used one that gets the successor
    /// whose answer was lost.
    fn refresh_again(&mut self, id: i64) {
        let token = self.person.session(id).refresh.clone().unwrap();
        let reply = self.two.ask(self.fresh, &refresh(&token));
        self.person.session(id).refreshed(&reply.expect(200).json());
    }

    /// Compares the list of sessions with what is known: `ids` have ended all or none,
    /// which is told, and there may be one more.
    fn compare(&mut self, ids: &[i64], doubt: Option<&Doubt>) -> bool {
        let own = self.person.sessions.last().unwrap();
        let (own, token) = (own.id, own.access[0].clone());
        let reply = self.two.ask(self.fresh, &sessions(&token));
        let answer = reply.clone().expect(200).json();
        let found: Vec<i64> = listed(&answer)
            .map(|row| row["session_id"].as_i64().unwrap())
            .collect();
        let gone = ids.iter().filter(|id| !found.contains(id)).count();
        assert!(gone == 0 || gone == ids.len(), "half of {ids:?}: {found:?}");
        let is_done = gone > 0;
        if is_done {
            for id in ids {
                let fresh = self.fresh;
                self.person.session(*id).end(fresh);
            }
        }
        if let Some(Doubt::LoggedIn { remembered }) = doubt {
            let known: Vec<i64> = self.person.sessions.iter().map(|s| s.id).collect();
            let new: Vec<i64> = found
                .iter()
                .filter(|id| !known.contains(id))
                .copied()
                .collect();
            assert!(new.len() <= 1, "one more: {new:?}");
            let lost = new.into_iter().map(|id| Session::lost(id, *remembered));
            self.person.sessions.extend(lost);
        }
        check_list(self.person, own, &reply);
        is_done
    }
}
