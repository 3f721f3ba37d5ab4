//! A model of who is online: sockets that are opened, closed, dropped and sent away in
//! two processes, one of which is killed or stopped now and then. Every open page and the
//! list of each process tell in the end what the model tells.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::Plan;
use super::http::Call;
use super::random::Random;
use super::world::{SOON, World};
use crate::harness::socket::{Socket, View, bearer};
use crate::harness::{Backend, PASSWORD};

const USERS: usize = 6;
/// Sockets of a user: as many again, of a process that was killed, may count as well.
const SOCKETS: usize = 4;
/// Steps between two moments in which all must agree.
const STEPS: usize = 12;
/// How often they must in a run of the suite, and in one of a soak.
const ROUNDS: [usize; 2] = [6, 40];
/// How long users of a process that was killed may stay.
const LEASE: Duration = Duration::from_secs(30);
/// The codes that sockets are closed with.
const CLOSED: u16 = 1000;
/// A connection that ended without one, as pages see it (RFC 6455 §7.1.5).
const NO_CODE: u16 = 1006;
const GOING_AWAY: u16 = 1001;
const SESSION_ENDED: u16 = 4401;

/// What a page has been told.
#[derive(Clone, Default)]
struct Told {
    view: View,
    is_partial: bool,
    /// The code that it was closed with.
    closed: Option<u16>,
}

/// An open page, which reads all the time.
struct Page {
    user: usize,
    process: usize,
    /// The token that it was opened with.
    token: String,
    told: watch::Receiver<Told>,
    reading: JoinHandle<()>,
    leave: Option<oneshot::Sender<()>>,
}

impl Page {
    async fn open(address: &str, process: usize, user: usize, token: &str) -> Self {
        let opening = Socket::with(address, &[bearer(token)]).await;
        let mut socket = opening.expect("is let in");
        socket.next().await.expect("a first frame");
        let (tell, told) = watch::channel(Told {
            view: socket.view.clone(),
            is_partial: socket.is_partial,
            closed: None,
        });
        let (leave, mut leaves) = oneshot::channel();
        let reading = actix_web::rt::spawn(async move {
            let code = loop {
                tokio::select! {
                    frame = socket.quiet() => if let Err(code) = frame {
                        break code;
                    },
                    // Only who asks it to leave sends.
                    _ = &mut leaves => {
                        socket.close().await;
                        break Some(CLOSED);
                    }
                }
                tell.send_modify(|told| {
                    told.view = socket.view.clone();
                    told.is_partial = socket.is_partial;
                });
            };
            tell.send_modify(|told| told.closed = Some(code.unwrap_or(NO_CODE)));
        });
        Self {
            user,
            process,
            token: token.to_owned(),
            told,
            reading,
            leave: Some(leave),
        }
    }

    /// Waits until it is closed; the code.
    async fn closed(&mut self) -> u16 {
        let waiting = self.told.wait_for(|told| told.closed.is_some());
        let in_time = tokio::time::timeout(SOON, waiting).await;
        in_time.expect("is closed soon").unwrap().closed.unwrap()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

struct User {
    id: i64,
    name: String,
    /// Tokens, each of a session of its own.
    tokens: Vec<String>,
}

struct Model {
    world: World,
    users: Vec<User>,
    /// Those that are open.
    pages: Vec<Page>,
    /// Process and user of pages that are gone since all agreed the last time.
    left: BTreeSet<(usize, i64)>,
    /// Who may be seen still though they are gone, since their process was killed.
    ghosts: BTreeSet<i64>,
    killed: Option<Instant>,
    chance: Random,
}

impl Model {
    fn begin(plan: Plan) -> Option<Self> {
        let world = World::start(plan)?;
        let users = (0..USERS).map(|number| {
            let name = format!("user-{number}");
            let answer = world.two.register(&name, None);
            User {
                id: answer["userinfo"]["user_id"].as_i64().unwrap(),
                name,
                tokens: vec![answer["token"].as_str().unwrap().to_owned()],
            }
        });
        let users = users.collect();
        Some(Self {
            world,
            users,
            pages: Vec::new(),
            left: BTreeSet::new(),
            ghosts: BTreeSet::new(),
            killed: None,
            chance: Random::new(plan.seed),
        })
    }

    async fn step(&mut self) {
        match self.chance.below(100) {
            0..45 => self.open().await,
            45..60 => self.close().await,
            60..75 => self.lose(),
            75..83 => self.rename(),
            _ => self.log_out().await,
        }
        // Pages read between the steps.
        tokio::task::yield_now().await;
    }

    async fn open(&mut self) {
        let (user, process) = (self.chance.below(USERS), self.chance.below(2));
        if self.pages.iter().filter(|page| page.user == user).count() >= SOCKETS {
            return;
        }
        let two = &self.world.two;
        let known = &mut self.users[user];
        // The first session stays, for the lists that are asked for.
        if known.tokens.len() < 2 || self.chance.percent(20) {
            let account = format!("user-{user}@example.org");
            let body = json!({ "account": account, "password": PASSWORD });
            let answer = two.ask(process, &Call::post("/user/login", body));
            let token = answer.expect(200).json()["token"].clone();
            known.tokens.push(token.as_str().unwrap().to_owned());
        }
        let token = self.chance.pick(&known.tokens).clone();
        two.note(&format!("user {} opens a page of {process}", known.id));
        let page = Page::open(two.address(process), process, user, &token).await;
        self.pages.push(page);
    }

    fn any(&mut self) -> Option<usize> {
        (!self.pages.is_empty()).then(|| self.chance.below(self.pages.len()))
    }

    /// A page is closed as pages are.
    async fn close(&mut self) {
        let Some(at) = self.any() else { return };
        let mut page = self.pages.swap_remove(at);
        self.note_end("closes", &page);
        page.leave.take().unwrap().send(()).unwrap();
        assert_eq!(page.closed().await, CLOSED);
    }

    /// A page is gone without a word.
    fn lose(&mut self) {
        if let Some(at) = self.any() {
            let page = self.pages.swap_remove(at);
            self.note_end("loses", &page);
        }
    }

    fn note_end(&mut self, what: &str, page: &Page) {
        let user = self.users[page.user].id;
        let line = format!("user {user} {what} a page of {}", page.process);
        self.world.two.note(&line);
        self.left.insert((page.process, user));
    }

    fn rename(&mut self) {
        let name = format!("renamed {}", self.chance.below(1_000_000));
        let user = self.chance.below(USERS);
        let call = Call::patch("/user/me", json!({ "name": name }));
        let process = self.chance.below(2);
        let call = call.token(&self.users[user].tokens[0]);
        self.world.two.ask(process, &call).expect(200);
        self.users[user].name = name;
    }

    /// A session ends in one of the processes, and its pages in both are sent away.
    async fn log_out(&mut self) {
        let user = self.chance.below(USERS);
        if self.users[user].tokens.len() < 2 {
            return;
        }
        let at = 1 + self.chance.below(self.users[user].tokens.len() - 1);
        let token = self.users[user].tokens.swap_remove(at);
        let call = Call::post("/user/logout", json!({})).token(&token);
        self.world.two.ask(self.chance.below(2), &call).expect(204);
        self.end_pages(SESSION_ENDED, |page| page.token == token)
            .await;
    }

    /// Waits until some pages are closed with a code.
    async fn end_pages(&mut self, code: u16, is_meant: impl Fn(&Page) -> bool) {
        let mut at = 0;
        while at < self.pages.len() {
            if is_meant(&self.pages[at]) {
                let mut page = self.pages.swap_remove(at);
                self.note_end("is sent away from", &page);
                assert_eq!(page.closed().await, code);
            } else {
                at += 1;
            }
        }
    }

    /// A process is killed; its users may be seen for a while.
    fn kill(&mut self) {
        let process = self.chance.below(2);
        let orphans = self.world.kill(process);
        self.killed = Some(Instant::now());
        // Without Redis the other one has never known them.
        if self.world.has_redis() {
            let gone = self.pages.iter().filter(|page| page.process == process);
            self.ghosts
                .extend(gone.map(|page| self.users[page.user].id));
            // It may have had no time to tell of those.
            let left = self.left.iter().filter(|(left, _)| *left == process);
            self.ghosts.extend(left.map(|(_, user)| user));
        }
        self.pages.retain(|page| page.process != process);
        self.world.replace(process, &orphans);
    }

    /// A process stops in good order, and takes its users with it.
    async fn stop(&mut self) {
        let process = self.chance.below(2);
        self.world.two.terminate(process);
        self.end_pages(GOING_AWAY, |page| page.process == process)
            .await;
        self.world.replace_stopped(process);
    }

    /// Who is online, as a process tells it.
    fn truth(&self, process: usize) -> BTreeMap<i64, &str> {
        let is_told = |page: &&Page| self.world.has_redis() || page.process == process;
        let pages = self.pages.iter().filter(is_told);
        let users = pages.map(|page| &self.users[page.user]);
        users.map(|user| (user.id, user.name.as_str())).collect()
    }

    /// Whether a view is that of the model.
    fn compare(&self, process: usize, view: &View, is_partial: bool) -> Result<(), String> {
        let truth = self.truth(process);
        let is_right = |(id, (name, _)): (&i64, &(String, String))| match truth.get(id) {
            // Nobody tells the new name of who is there by a process that was killed.
            Some(known) => name == known || self.ghosts.contains(id),
            None => self.ghosts.contains(id),
        };
        let fits = !is_partial
            && view.iter().all(is_right)
            && truth.keys().all(|id| view.contains_key(id));
        fits.then_some(()).ok_or_else(|| {
            let ghosts = &self.ghosts;
            format!("{process}: {view:?} {is_partial}, not {truth:?}, ghosts {ghosts:?}")
        })
    }

    /// The list that a process answers with.
    fn list(&self, process: usize) -> (View, bool) {
        let call = Call::get("/user/online").token(&self.users[0].tokens[0]);
        let answer: Value = self.world.two.peek(process, &call).expect(200).json();
        let text = |user: &Value, name: &str| user[name].as_str().unwrap().to_owned();
        let online = answer["online"].as_array().unwrap();
        let view: View = online
            .iter()
            .map(|user| {
                let id = user["user_id"].as_i64().unwrap();
                (id, (text(user, "name"), text(user, "since")))
            })
            .collect();
        assert_eq!(answer["total"], view.len(), "each once");
        (view, answer["partial"].as_bool().unwrap_or(false))
    }

    /// What does not agree with the model, or with what others are told.
    fn disagreement(&self) -> Result<(), String> {
        let mut since: BTreeMap<(i64, usize), String> = BTreeMap::new();
        let lists = [0, 1].map(|process| (process, self.list(process)));
        let pages = self.pages.iter().map(|page| {
            let told = page.told.borrow();
            assert_eq!(told.closed, None, "nobody sent this page away");
            (page.process, (told.view.clone(), told.is_partial))
        });
        for (process, (view, is_partial)) in lists.into_iter().chain(pages) {
            self.compare(process, &view, is_partial)?;
            // Without Redis each process knows its own only.
            let by = if self.world.has_redis() { 0 } else { process };
            let truth = self.truth(process);
            for (id, (_, time)) in view.iter().filter(|(id, _)| truth.contains_key(id)) {
                let first = since.entry((*id, by)).or_insert_with(|| time.clone());
                if first != time && !self.ghosts.contains(id) {
                    return Err(format!("{id} is there since {first} and since {time}"));
                }
            }
        }
        Ok(())
    }

    /// Reads until all agree, which they must soon.
    async fn agree(&mut self) {
        let mut deadline = Instant::now() + SOON;
        loop {
            let is_late = Instant::now() > deadline;
            match self.disagreement() {
                Ok(()) => {
                    self.left.clear();
                    return;
                }
                Err(why) => assert!(!is_late, "{why}"),
            }
            if self.killed.is_some_and(|killed| killed.elapsed() > LEASE) {
                self.killed = None;
                self.ghosts.clear();
                deadline = Instant::now() + SOON;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The same without those who may be seen for a while: their lease is over when it is
    /// over, and no later than documented.
    async fn agree_in_the_end(&mut self) {
        let ghosts = std::mem::take(&mut self.ghosts);
        let deadline = self.killed.map_or(Instant::now(), |killed| killed + LEASE) + SOON;
        while let Err(why) = self.disagreement() {
            assert!(Instant::now() < deadline, "{why}, with ghosts {ghosts:?}");
            tokio::task::yield_now().await;
        }
    }
}

async fn online_is_who_the_model_has(plan: Plan) {
    let Some(mut model) = Model::begin(plan) else {
        return;
    };
    for round in 0..ROUNDS[usize::from(plan.is_long())] {
        model.world.two.note(&format!("round {round}"));
        for _ in 0..STEPS {
            model.step().await;
        }
        // Both once for certain in a short run, the first early: its lease runs meanwhile.
        if round == 1 || (plan.is_long() && model.chance.percent(12)) {
            model.kill();
        } else if round == 3 || (plan.is_long() && model.chance.percent(12)) {
            model.stop().await;
        }
        model.agree().await;
    }
    model.agree_in_the_end().await;
    drop(std::mem::take(&mut model.pages));
    model.world.end();
}

fn run(backend: Backend) {
    super::run("model of presence", backend, |plan| {
        actix_web::rt::System::new().block_on(online_is_who_the_model_has(plan));
    });
}

#[test]
fn presence_on_sqlite() {
    run(Backend::Sqlite);
}

#[test]
fn presence_on_mysql() {
    run(Backend::Mysql);
}
