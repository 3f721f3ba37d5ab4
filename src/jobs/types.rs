//! The closed lists of kinds, queues and states, by the names under which they are kept.

use std::time::Duration;

/// What a job does. The names are kept: never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Makes a code for whoever asked to recover an account, if there is one.
    Recover,
    /// Sends a code by mail.
    MailCode,
    /// Sends a code by SMS.
    SmsCode,
    /// Tells an owner by mail what happened to their account.
    MailNotice,
    /// Deletes what is over, again and again.
    Sweep,
}

/// Jobs that may stand in each other's way. Each queue has a concurrency of its own, so
/// that what is stuck in one holds up nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    Mail,
    Sms,
    /// Work in the database.
    Work,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// For its time, or for a worker.
    Waiting,
    /// A worker has it; when its lease ends, any.
    Running,
    Done,
    /// Given up (a dead letter); an admin may have it tried again.
    Dead,
}

impl Kind {
    pub const ALL: [Self; 5] = [
        Self::Recover,
        Self::MailCode,
        Self::SmsCode,
        Self::MailNotice,
        Self::Sweep,
    ];

    /// As it is kept.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::MailCode => "mail_code",
            Self::SmsCode => "sms_code",
            Self::MailNotice => "mail_notice",
            Self::Sweep => "sweep",
        }
    }

    /// The kind of that name; `None` for one of a newer program.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn queue(self) -> Queue {
        match self {
            Self::MailCode | Self::MailNotice => Queue::Mail,
            Self::SmsCode => Queue::Sms,
            Self::Recover | Self::Sweep => Queue::Work,
        }
    }

    /// After this time a job that has not ended is given up for this time, whatever
    /// holds it.
    pub fn time_limit(self) -> Duration {
        match self {
            // Each step of a mail has a limit of its own; together they are within this.
            Self::MailCode | Self::MailNotice => Duration::from_secs(90),
            Self::SmsCode | Self::Recover => Duration::from_secs(30),
            Self::Sweep => Duration::from_secs(600),
        }
    }

    /// Whether it is tried for ever, as what repeats itself is.
    pub fn is_periodic(self) -> bool {
        self == Self::Sweep
    }
}

impl Queue {
    pub const ALL: [Self; 3] = [Self::Mail, Self::Sms, Self::Work];

    /// As it is kept.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Sms => "sms",
            Self::Work => "work",
        }
    }

    /// How many jobs of the queue one worker has under way at once: enough that some
    /// which wait for a server that hangs leave room for others.
    pub fn concurrency(self) -> usize {
        match self {
            Self::Mail | Self::Sms => 32,
            Self::Work => 8,
        }
    }
}

impl JobStatus {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Running, Self::Done, Self::Dead];

    /// As it is kept and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }

    /// The state of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}
