//! Users as they are stored.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::accounts::codes::Purpose;
use crate::accounts::types::{
    ADMIN, Account, AdminChange, Administered, Change, Identifier, NewUser, ProfileChange, User,
};
use crate::core::db::schema::user;
use crate::core::db::{Conn, DbError, dialect};

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
    diesel::insert_into(user::table)
        .values((
            (
                user::email.eq(&email.text),
                user::email_key.eq(&email.key),
                user::name.eq(&name.0),
                user::username.eq(username.as_ref().map(|u| &u.text)),
                user::username_key.eq(username.as_ref().map(|u| &u.key)),
                user::mobile.eq(mobile.as_ref().map(|m| &m.text)),
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

/// The user whom somebody who logs in names.
pub fn find_by_account(conn: &mut Conn, account: &Account) -> QueryResult<Option<User>> {
    let query = user::table.select(User::as_select());
    match account {
        Account::Email(key) => query.filter(user::email_key.eq(key)).first(conn),
        Account::Username(key) => query.filter(user::username_key.eq(key)).first(conn),
        Account::Mobile(key) => query.filter(user::mobile_key.eq(key)).first(conn),
    }
    .optional()
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
        .filter(user::user_id.eq_any(user_ids))
        .select((user::user_id, user::name))
        .load(conn)?;
    Ok(names.into_iter().collect())
}

/// The user with this id, active or not.
pub fn find_user(conn: &mut Conn, user_id: i64) -> QueryResult<Option<User>> {
    user::table
        .find(user_id)
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

/// Changes a profile and gives the row back; `None` when the user is gone. A new
/// address or number is not verified. The unique indexes are the check.
pub fn change_profile(
    conn: &mut Conn,
    user_id: i64,
    change: &ProfileChange,
    now: NaiveDateTime,
) -> QueryResult<Option<User>> {
    // Whole: no field is left out unnoticed.
    let ProfileChange {
        name,
        email,
        username,
        mobile,
    } = change;
    let row = || user::table.find(user_id);
    if let Some(name) = name {
        diesel::update(row())
            .set(user::name.eq(&name.0))
            .execute(conn)?;
    }
    if let Some(email) = email {
        diesel::update(row().filter(user::email_key.ne(&email.key)))
            .set(user::email_verified.eq(false))
            .execute(conn)?;
        diesel::update(row())
            .set((user::email.eq(&email.text), user::email_key.eq(&email.key)))
            .execute(conn)?;
    }
    if *username != Change::Keep {
        let username = match username {
            Change::Set(username) => Some(username),
            _ => None,
        };
        diesel::update(row())
            .set((
                user::username.eq(username.map(|u| &u.text)),
                user::username_key.eq(username.map(|u| &u.key)),
            ))
            .execute(conn)?;
    }
    if *mobile != Change::Keep {
        let mobile = match mobile {
            Change::Set(mobile) => Some(mobile),
            _ => None,
        };
        diesel::update(row())
            .set((
                user::mobile.eq(mobile.map(|m| &m.text)),
                user::mobile_key.eq(mobile.map(|m| &m.key)),
                user::mobile_verified.eq(false),
            ))
            .execute(conn)?;
    }
    diesel::update(row())
        .set(user::updated.eq(now))
        .execute(conn)?;
    find_user(conn, user_id)
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
        diesel::update(row.filter(user::mobile_key.eq(target)))
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

/// Changes a user as an admin may.
pub fn administer(
    conn: &mut Conn,
    user_id: i64,
    change: &AdminChange,
    now: NaiveDateTime,
) -> QueryResult<Administered> {
    // Whole: no field is left out unnoticed.
    let AdminChange {
        is_active,
        is_admin,
        name,
    } = change;
    let takes_rights = *is_active == Some(false) || *is_admin == Some(false);
    if takes_rights && is_last_admin(conn, user_id)? {
        return Ok(Administered::LastAdmin);
    }
    let Some(before) = find_user(conn, user_id)? else {
        return Ok(Administered::NotFound);
    };
    let role = is_admin.map(|is_admin| if is_admin { ADMIN } else { "user" });
    diesel::update(user::table.find(user_id))
        .set((
            user::is_active.eq(is_active.unwrap_or(before.is_active)),
            user::role.eq(role.unwrap_or(&before.role)),
            user::name.eq(name.as_ref().map_or(&before.name, |name| &name.0)),
            user::updated.eq(now),
        ))
        .execute(conn)?;
    match find_user(conn, user_id)? {
        Some(after) => Ok(Administered::Done {
            before: Box::new(before),
            after: Box::new(after),
        }),
        None => Ok(Administered::NotFound),
    }
}

/// Whether without this user there is no active admin. Holds the admins' rows.
pub fn is_last_admin(conn: &mut Conn, user_id: i64) -> QueryResult<bool> {
    Ok(dialect::lock_active_admins(conn)? == [user_id])
}

/// Holds a user's row until the transaction ends, and deactivates it: from then on they
/// can publish nothing more. False when there is none.
pub fn hold_for_deletion(conn: &mut Conn, user_id: i64) -> QueryResult<bool> {
    let held = diesel::update(user::table.find(user_id))
        .set(user::is_active.eq(false))
        .execute(conn)?;
    Ok(held == 1)
}

/// Deletes a user's row, and with it what refers to it, sessions and codes among it; of
/// posts there may be none any more. False when there is none.
pub fn delete_user(conn: &mut Conn, user_id: i64) -> QueryResult<bool> {
    Ok(diesel::delete(user::table.find(user_id)).execute(conn)? == 1)
}

/// `limit` users after the first `offset`, the newest first, and how many there are; with
/// `words` only those whose name, e-mail address or username has them in it.
pub fn load_page(
    conn: &mut Conn,
    words: Option<&str>,
    (offset, limit): (i64, i64),
) -> QueryResult<(Vec<User>, i64)> {
    let pattern = words.map(|words| {
        let escaped: String = words
            .to_lowercase()
            .chars()
            .flat_map(|c| {
                matches!(c, '!' | '%' | '_')
                    .then_some('!')
                    .into_iter()
                    .chain([c])
            })
            .collect();
        format!("%{escaped}%")
    });
    let matching = || {
        let mut query = user::table.into_boxed();
        if let Some(pattern) = &pattern {
            query = query.filter(
                lower(user::name)
                    .like(pattern.clone())
                    .escape('!')
                    .or(user::email_key.like(pattern.clone()).escape('!'))
                    .or(user::username_key
                        .assume_not_null()
                        .like(pattern.clone())
                        .escape('!')),
            );
        }
        query
    };
    let count = matching().count().get_result(conn)?;
    let users = matching()
        .order(user::user_id.desc())
        .offset(offset)
        .limit(limit)
        .select(User::as_select())
        .load(conn)?;
    Ok((users, count))
}

diesel::define_sql_function! { fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text; }

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
