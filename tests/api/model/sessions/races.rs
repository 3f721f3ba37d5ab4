//! Two requests at once about one account, mostly through two processes: whatever comes
//! of them, nobody is logged in afterwards who must not be.

use serde_json::json;

use super::keeper::{login, new_password, refresh};
use super::person::{Person, Session};
use crate::model::http::{Call, Reply};
use crate::model::random::Random;
use crate::model::world::Two;

#[derive(Clone, Copy, Debug)]
enum Race {
    /// One refresh token twice.
    Tabs,
    /// Two log in.
    Logins,
    /// A login with the password that is just replaced.
    LoginAndPassword,
    LoginAndDeactivation,
    LoginAndDeletion,
    RefreshAndLogout,
    /// One password becomes two new ones.
    Passwords,
    /// An admin renames who another one deactivates.
    Admins,
}

const RACES: [Race; 8] = [
    Race::Tabs,
    Race::Logins,
    Race::LoginAndPassword,
    Race::LoginAndDeactivation,
    Race::LoginAndDeletion,
    Race::RefreshAndLogout,
    Race::Passwords,
    Race::Admins,
];

/// Has two meet about a person, where that one is active and logged in.
pub fn race(two: &Two, person: &mut Person, admin: &str, chance: &mut Random) {
    let live = person.live();
    let live = live.filter(|session| session.refresh.is_some() && !session.access.is_empty());
    let Some(session) = chance.pick_of(live).cloned() else {
        return;
    };
    let race = *chance.pick(&RACES);
    two.note(&format!("{race:?} of {}", person.email));
    let first = chance.below(2);
    let second = if chance.percent(80) { 1 - first } else { first };
    let mut arena = Arena {
        two,
        person,
        processes: (first, second),
        new: format!("another horse {}", chance.next()),
    };
    match race {
        Race::Tabs => arena.tabs(&session),
        Race::Logins => arena.logins(),
        Race::LoginAndPassword => arena.login_and_password(&session),
        Race::LoginAndDeactivation => arena.login_and_deactivation(admin),
        Race::LoginAndDeletion => arena.login_and_deletion(admin),
        Race::RefreshAndLogout => arena.refresh_and_logout(&session),
        Race::Passwords => arena.passwords(&session),
        Race::Admins => arena.admins(admin),
    }
}

struct Arena<'a> {
    two: &'a Two,
    person: &'a mut Person,
    processes: (usize, usize),
    /// A password that nobody has.
    new: String,
}

impl Arena<'_> {
    /// Sends both at once, the first to the first process.
    fn meet(&self, one: Call, other: Call) -> [Reply; 2] {
        let (first, second) = self.processes;
        self.two.race([(first, one), (second, other)])
    }

    fn login(&self) -> Call {
        login(&self.person.email, &self.person.password, false)
    }

    fn tabs(&mut self, session: &Session) {
        let token = session.refresh.clone().unwrap();
        let replies = self.meet(refresh(&token), refresh(&token));
        let [one, other] = replies.map(|reply| reply.expect(200).json());
        assert_eq!(one["refresh_token"], other["refresh_token"]);
        let session = self.person.session(session.id);
        session.refreshed(&one);
        session.add_access(&other);
    }

    fn logins(&mut self) {
        let [one, other] = self.meet(self.login(), self.login());
        self.person.logged_in(one, false);
        self.person.logged_in(other, false);
    }

    /// A login beside what ends all sessions: it comes too late, or its session has ended.
    fn logged_in_for_a_moment(&mut self, reply: Reply) {
        if reply.status == 401 {
            reply.problem(401, "invalid_credentials");
        } else {
            self.person.logged_in(reply, false);
        }
    }

    fn login_and_password(&mut self, session: &Session) {
        let change = new_password(&self.person.password, &self.new);
        let change = change.token(session.access.last().unwrap());
        let [changed, logged_in] = self.meet(change, self.login());
        changed.expect(204);
        self.logged_in_for_a_moment(logged_in);
        self.person.changed_password(self.new.clone());
        self.person.end_all(self.processes.0, Some(session.id));
    }

    fn login_and_deactivation(&mut self, admin: &str) {
        let path = format!("/user/{}", self.person.id);
        let deactivate = Call::patch(path, json!({ "is_active": false })).token(admin);
        let [deactivated, logged_in] = self.meet(deactivate, self.login());
        deactivated.expect(200);
        self.logged_in_for_a_moment(logged_in);
        self.person.is_active = false;
        self.person.end_all(self.processes.0, None);
    }

    fn login_and_deletion(&mut self, admin: &str) {
        let delete = Call::delete(format!("/user/{}", self.person.id)).token(admin);
        let [deleted, logged_in] = self.meet(delete, self.login());
        deleted.expect(204);
        self.logged_in_for_a_moment(logged_in);
        self.person.is_there = false;
        self.person.end_all(self.processes.0, None);
    }

    fn refresh_and_logout(&mut self, session: &Session) {
        let token = session.refresh.clone().unwrap();
        let logout = Call::post("/user/logout", json!({})).token(session.access.last().unwrap());
        let [left, refreshed] = self.meet(logout, refresh(&token));
        left.expect(204);
        let by = self.processes.0;
        let session = self.person.session(session.id);
        if refreshed.status == 401 {
            refreshed.problem(401, "invalid_token");
        } else {
            session.refreshed(&refreshed.expect(200).json());
        }
        session.end(by);
    }

    /// Each admin's change stays, whichever came first.
    fn admins(&mut self, admin: &str) {
        let path = format!("/user/{}", self.person.id);
        let change = |body| Call::patch(path.clone(), body).token(admin);
        let deactivate = change(json!({ "is_active": false }));
        let rename = change(json!({ "name": self.new }));
        for reply in self.meet(deactivate, rename) {
            reply.expect(200);
        }
        self.person.is_active = false;
        self.person.end_all(self.processes.0, None);
        let reply = self.two.ask(self.processes.0, &self.login());
        reply.problem(401, "invalid_credentials");
    }

    fn passwords(&mut self, session: &Session) {
        let token = session.access.last().unwrap();
        let news = [self.new.clone(), format!("{} and more", self.new)];
        let current = self.person.password.clone();
        let [one, other] = news
            .clone()
            .map(|new| new_password(&current, &new).token(token));
        let replies = self.meet(one, other);
        let won = usize::from(replies[0].status != 204);
        replies[won].clone().expect(204);
        replies[1 - won].problem(403, "wrong_password");
        let by = if won == 0 {
            self.processes.0
        } else {
            self.processes.1
        };
        self.person.changed_password(news[won].clone());
        self.person.end_all(by, Some(session.id));
    }
}
