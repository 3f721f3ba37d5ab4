//! What happens in one process and matters in all: one vocabulary, two carriers.
//!
//! Whoever writes publishes an [`Event`]; caches, known sessions, presence and the
//! worker of this process have heard it when [`Bus::publish`] returns. With Redis the
//! others hear it too ([`redis`]). A carrier that is away loses events and says so: the
//! caches step aside, sessions are asked of the database, presence shows this process
//! only; and what was missed in the gap is made good when it is back.

pub mod redis;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::accounts::known::KnownSessions;
use crate::jobs::Waker;
use crate::posts::answers::{self, Answers, PostState};
use crate::presence::Hub;
use crate::presence::roster::{Delta, Member};

/// Events that wait to be sent; more are as lost as if the carrier were away.
const QUEUE: usize = 16_384;

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A post is, or is no more, what these states of it say.
    PostChanged { states: Vec<PostState> },
    /// Nothing is known to be what it was.
    AnythingChanged,
    /// A session, or every one of a user, may have ended, or have other rights.
    SessionEnded {
        user_id: i64,
        session_id: Option<i64>,
    },
    /// A user has another name, perhaps. The answers that show it are another event's.
    UserChanged { user_id: i64 },
    /// There is a job to do.
    JobWritten,
}

/// What processes say to each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Said {
    Event(Event),
    /// I am here, and have told so many changes of presence.
    Beat {
        version: u64,
    },
    /// Who came and who went here.
    Presence {
        version: u64,
        delta: Delta<Member>,
    },
    /// Tell me who is at yours; with an addressee only that one.
    Ask {
        of: Option<String>,
    },
    /// Who is at mine.
    List {
        version: u64,
        users: Vec<Member>,
    },
    /// I stop.
    Bye,
}

impl Said {
    /// Whether others must learn of it in another way when it is lost. Of sessions and
    /// names they read in the database anyway, jobs are asked for, and presence is told
    /// anew.
    fn is_owed(&self) -> bool {
        matches!(
            self,
            Self::Event(Event::PostChanged { .. } | Event::AnythingChanged)
        )
    }
}

/// Who hears events in this process.
#[derive(Clone)]
pub struct Listeners {
    pub answers: Arc<Answers>,
    pub known: Arc<KnownSessions>,
    pub jobs: Waker,
    pub presence: Arc<Hub>,
}

impl Listeners {
    /// When this returns, everybody acts on the event.
    pub fn hear(&self, event: &Event) {
        match event {
            Event::PostChanged { states } => answers::post_changed(&self.answers, states),
            Event::AnythingChanged => answers::anything_changed(&self.answers),
            Event::SessionEnded {
                user_id,
                session_id,
            } => {
                self.known.forget(*user_id, *session_id);
                self.presence.look_again(*user_id, *session_id);
            }
            Event::UserChanged { user_id } => self.presence.doubt_name(*user_id),
            Event::JobWritten => self.jobs.wake(),
        }
    }
}

/// Carries events to this process and to others.
pub struct Bus {
    listeners: Listeners,
    /// To the carrier between processes, if there is one.
    out: Option<mpsc::Sender<Said>>,
    is_up: AtomicBool,
    /// Whether other processes write to the same database.
    others_write: AtomicBool,
    /// Whether an event was lost that others must make good, told by the database.
    is_owed: AtomicBool,
}

impl Bus {
    /// With `has_carrier` also the end that a carrier reads from.
    pub fn new(
        listeners: Listeners,
        has_carrier: bool,
        others_write: bool,
    ) -> (Arc<Self>, Option<mpsc::Receiver<Said>>) {
        let (out, rest) = if has_carrier {
            let (out, rest) = mpsc::channel(QUEUE);
            (Some(out), Some(rest))
        } else {
            (None, None)
        };
        if has_carrier {
            listeners.presence.set_partial(true);
        }
        let bus = Arc::new(Self {
            listeners,
            out,
            is_up: AtomicBool::new(false),
            others_write: AtomicBool::new(others_write),
            is_owed: AtomicBool::new(false),
        });
        (bus, rest)
    }

    /// Says what has happened, after its commit and before it is answered.
    pub fn publish(&self, event: Event) {
        self.listeners.hear(&event);
        self.say(Said::Event(event));
    }

    /// Says that a session, or with `None` every one of the user, may have ended or have
    /// other rights.
    pub fn session_ended(&self, user_id: i64, session_id: Option<i64>) {
        self.publish(Event::SessionEnded {
            user_id,
            session_id,
        });
    }

    /// Says that there is a job to do.
    pub fn job_written(&self) {
        self.publish(Event::JobWritten);
    }

    /// Has this process hear what another one made happen.
    pub fn hear(&self, event: &Event) {
        self.listeners.hear(event);
    }

    /// Says something to other processes.
    pub fn say(&self, said: Said) {
        let Some(out) = &self.out else { return };
        let is_owed = said.is_owed();
        if (!self.is_up() || out.try_send(said).is_err()) && is_owed {
            self.is_owed.store(true, Ordering::Release);
        }
    }

    /// Whether there is a carrier between processes, be it away.
    pub fn has_carrier(&self) -> bool {
        self.out.is_some()
    }

    /// Whether other processes hear this one, and it them.
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    /// Says whether other processes write to the same database, as far as it is known.
    pub fn others_write(&self, do_they: bool) {
        self.others_write.store(do_they, Ordering::Release);
        self.settle();
    }

    fn settle(&self) {
        let unheard = self.others_write.load(Ordering::Acquire) && !self.is_up();
        self.listeners.answers.others_write(unheard);
    }

    /// The carrier works from now on. What happened in the gap is unknown, so nothing
    /// that was kept is trusted. Who is online elsewhere is still to be asked.
    fn up(&self) {
        self.hear(&Event::AnythingChanged);
        self.is_up.store(true, Ordering::Release);
        self.settle();
        self.listeners.presence.look_again(0, None);
    }

    /// The carrier is away from now on.
    fn down(&self) {
        self.is_up.store(false, Ordering::Release);
        self.settle();
        // What was on its way may not have arrived.
        self.is_owed.store(true, Ordering::Release);
        self.listeners.presence.set_partial(true);
    }

    /// Whether others are to be told by the database that something was lost; asked by
    /// who tells them.
    pub fn take_owed(&self) -> bool {
        self.is_owed.swap(false, Ordering::AcqRel)
    }

    fn presence(&self) -> &Hub {
        &self.listeners.presence
    }
}
