//! How many messages were sent, as it is kept: by target, by account, and in all of a day.
//! Counted in the transaction that has them sent, so that all processes count together and
//! what is rolled back was not sent.

use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;

use crate::accounts::types::{Channel, Counted};
use crate::core::db::schema::message_budget;
use crate::core::db::{Conn, dialect};
use crate::core::settings::MessageLimits;

/// To one address or number for one cause: five at once and then one every 90 minutes, which
/// is five in an hour and twenty in a day at most.
pub const TARGET: Pace = Pace {
    burst: 5,
    every: TimeDelta::minutes(90),
};
/// For one account and cause: ten at once and then one every 70 minutes, thirty in a day.
pub const ACCOUNT: Pace = Pace {
    burst: 10,
    every: TimeDelta::minutes(70),
};
/// Of the messages of a day, what one cause may take, in quarters: who orders all the codes of
/// one does not stop the others.
const QUARTERS: i64 = 3;

/// A token bucket: so many messages at once, and another one after each time.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub burst: i32,
    pub every: TimeDelta,
}

/// What a bucket holds.
#[derive(Clone, Copy)]
enum Rule {
    Pace(Pace),
    /// So many from the first one on, for a day.
    Day(i64),
}

impl Rule {
    /// What a row becomes by another message; the error is how long it takes until there may
    /// be one. Of a bucket with a pace, `until` is when it is full; of one for a day, when
    /// that is over.
    fn counted(
        self,
        (until, sent): (NaiveDateTime, i32),
        now: NaiveDateTime,
    ) -> Result<(NaiveDateTime, i32), TimeDelta> {
        match self {
            Self::Pace(Pace { burst, every }) => {
                // No bucket is further from full than an empty one: clocks are set back.
                let until = until.max(now).min(now + every * burst) + every;
                let wait = until - (now + every * burst);
                if wait > TimeDelta::zero() {
                    return Err(wait);
                }
                Ok((until, sent.saturating_add(1)))
            }
            Self::Day(most) => {
                let day = TimeDelta::days(1);
                if until <= now || until > now + day {
                    return Ok((now + day, 1));
                }
                if i64::from(sent) >= most {
                    return Err(until - now);
                }
                Ok((until, sent.saturating_add(1)))
            }
        }
    }
}

/// Counts a message that is to be sent; gives how long it takes until it may be, and counts
/// nothing, where there were too many.
pub fn take(
    conn: &mut Conn,
    limits: &MessageLimits,
    message: &Counted,
    now: NaiveDateTime,
) -> QueryResult<Option<TimeDelta>> {
    if !limits.is_on {
        return Ok(None);
    }
    let mut counted = Vec::new();
    let mut longest: Option<TimeDelta> = None;
    // In the same order for all: those that few share first.
    for (bucket, rule) in buckets(limits, message) {
        let row = dialect::lock_message_budget(conn, &bucket, now)?;
        match rule.counted(row, now) {
            Ok(row) => counted.push((bucket, row)),
            Err(wait) => longest = longest.max(Some(wait)),
        }
    }
    if longest.is_none() {
        for (bucket, (until, sent)) in counted {
            diesel::update(message_budget::table.find(bucket))
                .set((
                    message_budget::until.eq(until),
                    message_budget::sent.eq(sent),
                ))
                .execute(conn)?;
        }
    }
    Ok(longest)
}

/// The buckets that a message is counted in.
fn buckets(limits: &MessageLimits, message: &Counted) -> Vec<(String, Rule)> {
    let Counted {
        user_id,
        target,
        cause,
        channel,
    } = message;
    let (cause, lane) = (cause.name(), channel.name());
    let in_all = i64::from(match channel {
        Channel::Email => limits.mails_a_day,
        Channel::Mobile => limits.texts_a_day,
    });
    let of_cause = (in_all * QUARTERS + 3) / 4;
    let mut buckets = vec![(format!("account {cause} {user_id}"), Rule::Pace(ACCOUNT))];
    if let Some(target) = target {
        buckets.push((format!("target {cause} {target}"), Rule::Pace(TARGET)));
    }
    buckets.push((format!("all {lane} {cause}"), Rule::Day(of_cause)));
    buckets.push((format!("all {lane}"), Rule::Day(in_all)));
    buckets
}

/// Deletes some buckets that are full again, or whose day is over; gives how many.
pub fn delete_expired(conn: &mut Conn, now: NaiveDateTime, limit: i64) -> QueryResult<usize> {
    let buckets: Vec<String> = message_budget::table
        .filter(message_budget::until.le(now))
        .limit(limit)
        .select(message_budget::bucket)
        .load(conn)?;
    // Not one that another message was counted in just now.
    diesel::delete(
        message_budget::table
            .filter(message_budget::bucket.eq_any(buckets))
            .filter(message_budget::until.le(now)),
    )
    .execute(conn)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    /// How many messages pass within a time, asked for every minute.
    fn passed(rule: Rule, time: TimeDelta) -> i32 {
        let start = NaiveDate::from_ymd_opt(2026, 11, 21)
            .and_then(|day| day.and_hms_opt(9, 0, 0))
            .unwrap();
        let (mut now, mut row, mut passed) = (start, (start, 0), 0);
        while now < start + time {
            if let Ok(next) = rule.counted(row, now) {
                (row, passed) = (next, passed + 1);
            }
            now += TimeDelta::minutes(1);
        }
        passed
    }

    #[test]
    fn a_target_has_five_in_an_hour_and_twenty_in_a_day() {
        let rule = Rule::Pace(TARGET);
        assert_eq!(passed(rule, TimeDelta::hours(1)), 5);
        assert_eq!(passed(rule, TimeDelta::days(1)), 20);
        assert_eq!(passed(rule, TimeDelta::days(2)), 36);
    }

    #[test]
    fn an_account_has_ten_in_an_hour_and_thirty_in_a_day() {
        let rule = Rule::Pace(ACCOUNT);
        assert_eq!(passed(rule, TimeDelta::hours(1)), 10);
        assert_eq!(passed(rule, TimeDelta::days(1)), 30);
    }

    #[test]
    fn a_day_has_so_many() {
        for hours in [1, 24] {
            assert_eq!(passed(Rule::Day(7), TimeDelta::hours(hours)), 7);
        }
        assert_eq!(passed(Rule::Day(7), TimeDelta::hours(48)), 14);
    }
}
