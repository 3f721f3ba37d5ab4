//! Users as they are stored.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use crate::accounts::codes::Purpose;
use crate::accounts::types::{
    ADMIN, Account, AdminChange, Administered, DELETED, Identifier, NOBODY, NewUser, Part,
    ProfileChange, User, former_keys,
};
use crate::core::db::schema::{installation, user};
use crate::core::db::{Conn, DbError, dialect};
use crate::core::page::{ListPart, Listed, find_keys};

/// The identifier that another user has, by the unique index that refused a write;
/// `None` for another index and another error.
pub fn taken(error: &DbError) -> Option<Identifier> {
    let indexes = ["user_email_key", "user_username_key", "user_mobile_key"];
    match error.unique_index(&indexes)? {
        "user_email_key" => Some(Identifier::Email),
        "user_username_key" => Some(Identifier::Username),
        "user_mobile_key" => Some(Identifier::Mobile),
        _ => None,
    }
}

/// Which of these identifiers users other than `own` have, in the order that they are given.
pub fn taken_of(
    conn: &mut Conn,
    wanted: &[Account],
    own: Option<i64>,
) -> QueryResult<Vec<Identifier>> {
    let mut taken = Vec::new();
    for account in wanted {
        let owner = find_by_account(conn, account)?;
        if owner.is_some_and(|owner| Some(owner.user_id) != own) {
            taken.push(match account {
                Account::Email(_) => Identifier::Email,
                Account::Username(_) => Identifier::Username,
                Account::Mobile(_) => Identifier::Mobile,
            });
        }
    }
    Ok(taken)
}

/// Inserts and gives the row back; the unique indexes are the check.
pub fn insert_user(conn: &mut Conn, new: &NewUser) -> QueryResult<User> {
    // Whole: no field is left out unnoticed.
    let NewUser {
        email,
        name,
        username,
        mobile,
        password_hash,
        now,
    } = new;
    refuse_former(conn, &Account::Email(email.key.clone()), NOBODY)?;
    if let Some(mobile) = mobile {
        refuse_former(conn, &Account::Mobile(mobile.key.clone()), NOBODY)?;
    }
    diesel::insert_into(user::table)
        .values((
            (
                user::email.eq(&email.text),
                user::email_key.eq(&email.key),
                user::name.eq(&name.0),
                user::username.eq(username.as_ref().map(|u| &u.text)),
                user::username_key.eq(username.as_ref().map(|u| &u.key)),
                user::mobile.eq(mobile.as_ref().map(|m| &m.key)),
                user::mobile_key.eq(mobile.as_ref().map(|m| &m.key)),
                user::password.eq(password_hash),
            ),
            (
                user::role.eq("user"),
                user::is_active.eq(true),
                user::email_verified.eq(false),
                user::mobile_verified.eq(false),
                user::created.eq(now),
                user::updated.eq(now),
            ),
        ))
        .execute(conn)?;
    let user_id = dialect::last_insert(conn)?;
    user::table
        .find(user_id)
        .select(User::as_select())
        .first(conn)
}

/// The user whom somebody who logs in names, by the key or by what earlier versions made of the
/// same.
pub fn find_by_account(conn: &mut Conn, account: &Account) -> QueryResult<Option<User>> {
    let mut keys = former_keys(account);
    keys.push(account.key().to_owned());
    // What is left of a deleted user has no identifiers.
    let found: Vec<(Option<String>, User)> = match account {
        Account::Email(_) => user::table
            .filter(dialect::any_of(user::email_key, &keys))
            .select((user::email_key.nullable(), User::as_select()))
            .load(conn)?,
        Account::Username(_) => user::table
            .filter(dialect::any_of(user::username_key, &keys))
            .select((user::username_key, User::as_select()))
            .load(conn)?,
        Account::Mobile(_) => user::table
            .filter(dialect::any_of(user::mobile_key, &keys))
            .select((user::mobile_key, User::as_select()))
            .load(conn)?,
    };
    let is_exact = |(key, _): &(Option<String>, User)| key.as_deref() == Some(account.key());
    let exact = found.iter().position(is_exact).unwrap_or(0);
    Ok(found.into_iter().nth(exact).map(|(_, user)| user))
}

/// Refuses an identifier that another user has under a key of earlier versions, which the
/// unique index does not know, as that would.
fn refuse_former(conn: &mut Conn, account: &Account, user_id: i64) -> QueryResult<()> {
    let former = former_keys(account);
    if former.is_empty() {
        return Ok(());
    }
    let (taken, index): (Option<i64>, _) = match account {
        Account::Email(_) => {
            let rows = user::table.filter(dialect::any_of(user::email_key, &former));
            let others = rows.filter(user::user_id.ne(user_id));
            (
                others.select(user::user_id).first(conn).optional()?,
                "email_key",
            )
        }
        Account::Mobile(_) => {
            let rows = user::table.filter(dialect::any_of(user::mobile_key, &former));
            let others = rows.filter(user::user_id.ne(user_id));
            (
                others.select(user::user_id).first(conn).optional()?,
                "mobile_key",
            )
        }
        Account::Username(_) => return Ok(()),
    };
    if taken.is_none() {
        return Ok(());
    }
    let message = format!("UNIQUE constraint failed: user.{index}");
    Err(Error::DatabaseError(
        DatabaseErrorKind::UniqueViolation,
        Box::new(message),
    ))
}

/// The user with this id, if active.
pub fn find_active(conn: &mut Conn, user_id: i64) -> QueryResult<Option<User>> {
    user::table
        .find(user_id)
        .filter(user::is_active.eq(true))
        .select(User::as_select())
        .first(conn)
        .optional()
}

/// The names of these users, by id.
pub fn names_of(conn: &mut Conn, user_ids: &[i64]) -> QueryResult<HashMap<i64, String>> {
    let names: Vec<(i64, String)> = user::table
        .filter(dialect::any_of(user::user_id, user_ids))
        .select((user::user_id, user::name))
        .load(conn)?;
    Ok(names.into_iter().collect())
}

/// The user with this id, active or not.
pub fn find_user(conn: &mut Conn, user_id: i64) -> QueryResult<Option<User>> {
    user::table
        .find(user_id)
        .filter(user::role.ne(DELETED))
        .select(User::as_select())
        .first(conn)
        .optional()
}

/// Holds an active user's row against change until the transaction ends, if its
/// password hash is still this one; false when it is not.
pub fn hold(conn: &mut Conn, user_id: i64, password_hash: &str) -> QueryResult<bool> {
    let held = diesel::update(
        user::table
            .find(user_id)
            .filter(user::password.eq(password_hash))
            .filter(user::is_active.eq(true)),
    )
    .set(user::password.eq(password_hash))
    .execute(conn)?;
    Ok(held == 1)
}

/// Changes a profile, whose row the transaction holds, in what differs, and gives the row
/// back. A new address or number is not verified. The unique indexes are the check.
pub fn change_profile(
    conn: &mut Conn,
    before: User,
    change: &ProfileChange,
    now: NaiveDateTime,
) -> QueryResult<User> {
    let row = || user::table.find(before.user_id);
    let parts = change.parts_that_differ(&before);
    if parts.is_empty() {
        return Ok(before);
    }
    for part in parts {
        match part {
            Part::Name(name) => diesel::update(row())
                .set(user::name.eq(&name.0))
                .execute(conn)?,
            Part::Email(email) => {
                refuse_former(conn, &Account::Email(email.key.clone()), before.user_id)?;
                diesel::update(row().filter(user::email_key.ne(&email.key)))
                    .set(user::email_verified.eq(false))
                    .execute(conn)?;
                diesel::update(row())
                    .set((user::email.eq(&email.text), user::email_key.eq(&email.key)))
                    .execute(conn)?
            }
            Part::Username(username) => diesel::update(row())
                .set((
                    user::username.eq(username.map(|u| &u.text)),
                    user::username_key.eq(username.map(|u| &u.key)),
                ))
                .execute(conn)?,
            Part::Mobile(mobile) => {
                if let Some(mobile) = mobile {
                    let account = Account::Mobile(mobile.key.clone());
                    refuse_former(conn, &account, before.user_id)?;
                }
                diesel::update(row())
                    .set((
                        user::mobile.eq(mobile.map(|m| &m.key)),
                        user::mobile_key.eq(mobile.map(|m| &m.key)),
                        user::mobile_verified.eq(false),
                    ))
                    .execute(conn)?
            }
            Part::Bio(bio) => diesel::update(row()).set(user::bio.eq(bio)).execute(conn)?,
            Part::Image(image) => diesel::update(row())
                .set(user::image.eq(image))
                .execute(conn)?,
        };
    }
    diesel::update(row())
        .set(user::updated.eq(now))
        .execute(conn)?;
    row().select(User::as_select()).first(conn)
}

/// Marks an address or number as verified, if it is still the user's; gives the row
/// back, `None` when it is not.
pub fn set_verified(
    conn: &mut Conn,
    user_id: i64,
    (purpose, target): (Purpose, &str),
    now: NaiveDateTime,
) -> QueryResult<Option<User>> {
    let row = user::table.find(user_id).filter(user::is_active.eq(true));
    let changed = if purpose == Purpose::VerifyMobile {
        let mut keys = former_keys(&Account::Mobile(target.to_owned()));
        keys.push(target.to_owned());
        diesel::update(row.filter(user::mobile_key.eq_any(keys)))
            .set((user::mobile_verified.eq(true), user::updated.eq(now)))
            .execute(conn)?
    } else {
        diesel::update(row.filter(user::email.eq(target)))
            .set((user::email_verified.eq(true), user::updated.eq(now)))
            .execute(conn)?
    };
    if changed == 0 {
        return Ok(None);
    }
    find_user(conn, user_id)
}

/// Has whoever recovered an account own it: the address that they proved is verified, and a
/// number that nobody proved is taken off. (The address cannot be: each account has one.
/// One that is not verified recovers nothing beside a verified number.) Gives the row back.
pub fn keep_what_is_proved(
    conn: &mut Conn,
    user: &User,
    proved: Identifier,
    now: NaiveDateTime,
) -> QueryResult<User> {
    let row = user::table.find(user.user_id);
    if proved == Identifier::Email {
        diesel::update(row)
            .set((user::email_verified.eq(true), user::updated.eq(now)))
            .execute(conn)?;
        diesel::update(row.filter(user::mobile_verified.eq(false)))
            .set((
                user::mobile.eq(None::<String>),
                user::mobile_key.eq(None::<String>),
            ))
            .execute(conn)?;
    }
    row.select(User::as_select()).first(conn)
}

/// Gives the user a new password hash.
pub fn set_password_hash(
    conn: &mut Conn,
    user_id: i64,
    password_hash: &str,
    now: NaiveDateTime,
) -> QueryResult<usize> {
    diesel::update(user::table.find(user_id))
        .set((user::password.eq(password_hash), user::updated.eq(now)))
        .execute(conn)
}

/// The columns that an admin may change; what is `None` stays as it is.
#[derive(AsChangeset)]
#[diesel(table_name = user)]
struct AdminColumns<'a> {
    is_active: Option<bool>,
    role: Option<&'a str>,
    name: Option<&'a str>,
    updated: NaiveDateTime,
}

/// Changes a user as an admin may: what is asked for and differs. Holds their row, so that
/// of two changes at once the second begins with what the first left.
pub fn administer(
    conn: &mut Conn,
    user_id: i64,
    change: &AdminChange,
    now: NaiveDateTime,
) -> QueryResult<Administered> {
    dialect::lock_user(conn, user_id)?;
    let Some(before) = find_user(conn, user_id)? else {
        return Ok(Administered::NotFound);
    };
    let takes_rights = change.is_active == Some(false) || change.is_admin == Some(false);
    if takes_rights && !may_be_taken_away(conn, &before)? {
        return Ok(Administered::LastAdmin);
    }
    let role = change
        .is_admin
        .map(|is_admin| if is_admin { ADMIN } else { "user" });
    let name = change.name.as_ref().map(|name| name.0.as_str());
    let columns = AdminColumns {
        is_active: change.is_active.filter(|is| *is != before.is_active),
        role: role.filter(|role| *role != before.role),
        name: name.filter(|name| *name != before.name),
        updated: now,
    };
    if columns.is_active.is_some() || columns.role.is_some() || columns.name.is_some() {
        diesel::update(user::table.find(user_id))
            .set(columns)
            .execute(conn)?;
    }
    match find_user(conn, user_id)? {
        Some(after) => Ok(Administered::Done {
            before: Box::new(before),
            after: Box::new(after),
        }),
        None => Ok(Administered::NotFound),
    }
}

/// Whether there is an active admin besides this user, or they are none themselves. The
/// transaction holds their row.
///
/// All who take an active admin away change one row first, and look at the others then:
/// of two at once the second sees what the first did. They wait for each other at that
/// row; at two nodes of a cluster, which share no locks, the cluster refuses the second
/// change of it.
pub fn may_be_taken_away(conn: &mut Conn, held: &User) -> QueryResult<bool> {
    if !held.is_active || !held.is_admin() {
        return Ok(true);
    }
    diesel::update(installation::table)
        .set(installation::admin_changes.eq(installation::admin_changes + 1))
        .execute(conn)?;
    let another: Option<i64> = user::table
        .filter(user::role.eq(ADMIN))
        .filter(user::is_active.eq(true))
        .filter(user::user_id.ne(held.user_id))
        .select(user::user_id)
        .first(conn)
        .optional()?;
    Ok(another.is_some())
}

/// Makes of a user's row, which the transaction holds, one without a person: it stays as
/// long as there are posts that refer to it, and nobody is shown it. Their identifiers are
/// free for others.
pub fn empty(conn: &mut Conn, user_id: i64, now: NaiveDateTime) -> QueryResult<()> {
    diesel::update(user::table.find(user_id))
        .set((
            (
                user::email.eq(""),
                // Unique, and in the grammar of none of the identifiers.
                user::email_key.eq(format!("#{user_id}")),
                user::name.eq(""),
                user::username.eq(None::<String>),
                user::username_key.eq(None::<String>),
                user::mobile.eq(None::<String>),
                user::mobile_key.eq(None::<String>),
                user::password.eq(""),
            ),
            (
                user::role.eq(DELETED),
                user::is_active.eq(false),
                user::email_verified.eq(false),
                user::mobile_verified.eq(false),
                user::updated.eq(now),
                user::bio.eq(None::<String>),
                user::image.eq(None::<String>),
            ),
        ))
        .execute(conn)
        .map(drop)
}

/// Holds what is left of a deleted user until the transaction ends; false when there is
/// nothing, or the user is not deleted.
pub fn lock_deleted(conn: &mut Conn, user_id: i64) -> QueryResult<bool> {
    if !dialect::lock_user(conn, user_id)? {
        return Ok(false);
    }
    let role: Option<String> = user::table
        .find(user_id)
        .select(user::role)
        .first(conn)
        .optional()?;
    Ok(role.as_deref() == Some(DELETED))
}

/// A deleted user of whom something is left.
pub fn find_deleted(conn: &mut Conn) -> QueryResult<Option<i64>> {
    user::table
        .filter(user::role.eq(DELETED))
        .select(user::user_id)
        .first(conn)
        .optional()
}

/// Deletes a user's row, and with it what refers to it, sessions and codes among it; of
/// posts there may be none any more. False when there is none.
pub fn delete_user(conn: &mut Conn, user_id: i64) -> QueryResult<bool> {
    Ok(diesel::delete(user::table.find(user_id)).execute(conn)? == 1)
}

/// These users, in any order; of those who are gone none.
pub fn load_users(conn: &mut Conn, user_ids: &[i64]) -> QueryResult<Vec<User>> {
    user::table
        .filter(dialect::any_of(user::user_id, user_ids))
        .filter(user::role.ne(DELETED))
        .select(User::as_select())
        .load(conn)
}

/// Has two users stay until the transaction ends, the first of them for this transaction alone, and gives which of them are
/// somebody. In the order of their ids, as whoever holds several does.
pub fn hold_somebodies(conn: &mut Conn, alone: i64, shared: i64) -> QueryResult<Vec<i64>> {
    let mut user_ids = [alone, shared];
    user_ids.sort_unstable();
    for user_id in user_ids {
        if user_id == alone {
            dialect::lock_user(conn, user_id)?;
        } else {
            dialect::share_users(conn, &[user_id])?;
        }
    }
    user::table
        .filter(dialect::any_of(user::user_id, &user_ids))
        .filter(user::role.ne(DELETED))
        .select(user::user_id)
        .load(conn)
}

/// Part of the active users, the newest first; with `words` only those whose name or username
/// has them in it, which is all of it that anybody may know. Call it in a snapshot.
pub fn load_public_part(
    conn: &mut Conn,
    words: Option<&str>,
    part: ListPart,
) -> QueryResult<Listed<User>> {
    let pattern = words.map(dialect::containing);
    let found = find_keys(part, |below, limit| {
        let mut newest = user::table
            .filter(user::is_active.eq(true))
            .filter(user::user_id.lt(below))
            .filter(dialect::in_time(user::user_id))
            .order(user::user_id.desc())
            .limit(limit)
            .select(user::user_id)
            .into_boxed();
        if let Some(pattern) = &pattern {
            newest = newest.filter(
                dialect::lower(user::name)
                    .like(pattern.clone())
                    .escape('!')
                    .or(user::username_key
                        .assume_not_null()
                        .like(pattern.clone())
                        .escape('!')),
            );
        }
        newest.load(conn)
    })?;
    load_listed(conn, found)
}

/// The users of part of a list.
fn load_listed(conn: &mut Conn, found: Listed<i64>) -> QueryResult<Listed<User>> {
    let users = user::table
        .filter(dialect::any_of(user::user_id, &found.rows))
        .order(user::user_id.desc())
        .select(User::as_select())
        .load(conn)?;
    Ok(found.with(users))
}

/// Part of the users, the newest first; with `words` only those whose name, e-mail address or
/// username has them in it. Call it in a snapshot.
pub fn load_part(
    conn: &mut Conn,
    words: Option<&str>,
    part: ListPart,
) -> QueryResult<Listed<User>> {
    let pattern = words.map(dialect::containing);
    let found = find_keys(part, |below, limit| {
        let mut newest = user::table
            .filter(user::role.ne(DELETED))
            .filter(user::user_id.lt(below))
            .filter(dialect::in_time(user::user_id))
            .order(user::user_id.desc())
            .limit(limit)
            .select(user::user_id)
            .into_boxed();
        if let Some(pattern) = &pattern {
            newest = newest.filter(
                dialect::lower(user::name)
                    .like(pattern.clone())
                    .escape('!')
                    .or(user::email_key.like(pattern.clone()).escape('!'))
                    // In the key a domain of other letters is in ASCII.
                    .or(dialect::lower(user::email)
                        .like(pattern.clone())
                        .escape('!'))
                    .or(user::username_key
                        .assume_not_null()
                        .like(pattern.clone())
                        .escape('!')),
            );
        }
        newest.load(conn)
    })?;
    load_listed(conn, found)
}

/// Replaces a password hash that was made with another cost, unless it has changed since.
pub fn replace_password_hash(
    conn: &mut Conn,
    user_id: i64,
    old: &str,
    new: &str,
) -> QueryResult<usize> {
    diesel::update(user::table.find(user_id).filter(user::password.eq(old)))
        .set(user::password.eq(new))
        .execute(conn)
}
