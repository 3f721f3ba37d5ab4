//! Users as they are stored.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::types::{Account, Email, Mobile, Name, Username};
use crate::db::schema::{post, user};
use crate::db::{Conn, dialect};

/// A user's row, without the canonical columns, which only queries need.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = user)]
pub struct User {
    pub user_id: i64,
    pub email: String,
    pub name: String,
    pub username: Option<String>,
    pub mobile: Option<String>,
    pub password: String,
    pub role: String,
    pub is_active: bool,
    pub email_verified: bool,
    pub mobile_verified: bool,
    pub created: NaiveDateTime,
    pub updated: NaiveDateTime,
}

/// What anyone may know of a user.
#[derive(Clone, Debug)]
pub struct PublicUser {
    pub user_id: i64,
    pub name: String,
    pub username: Option<String>,
    pub created: NaiveDateTime,
    /// Published posts.
    pub posts: i64,
}

/// A person who registers.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub email: Email,
    pub name: Name,
    pub username: Option<Username>,
    pub mobile: Option<Mobile>,
    /// The record that `Password::hash` made.
    pub password: String,
    pub now: NaiveDateTime,
}

/// The unique indexes of `user`, as their violations name them.
pub const UNIQUE: [&str; 3] = ["user_email_key", "user_username_key", "user_mobile_key"];

/// Inserts and gives the row back; the unique indexes are the check.
pub fn insert_user(conn: &mut Conn, new: &NewUser) -> QueryResult<User> {
    diesel::insert_into(user::table)
        .values((
            (
                user::email.eq(&new.email.text),
                user::email_key.eq(&new.email.key),
                user::name.eq(&new.name.0),
                user::username.eq(new.username.as_ref().map(|u| &u.text)),
                user::username_key.eq(new.username.as_ref().map(|u| &u.key)),
                user::mobile.eq(new.mobile.as_ref().map(|m| &m.text)),
                user::mobile_key.eq(new.mobile.as_ref().map(|m| &m.key)),
                user::password.eq(&new.password),
            ),
            (
                user::role.eq("user"),
                user::is_active.eq(true),
                user::email_verified.eq(false),
                user::mobile_verified.eq(false),
                user::created.eq(new.now),
                user::updated.eq(new.now),
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

/// The public view, whether active or not: their posts stay readable.
pub fn find_public(conn: &mut Conn, user_id: i64) -> QueryResult<Option<PublicUser>> {
    let found: Option<(String, Option<String>, NaiveDateTime)> = user::table
        .find(user_id)
        .select((user::name, user::username, user::created))
        .first(conn)
        .optional()?;
    let Some((name, username, created)) = found else {
        return Ok(None);
    };
    let posts = post::table
        .filter(post::author_id.eq(user_id))
        .count()
        .get_result(conn)?;
    Ok(Some(PublicUser {
        user_id,
        name,
        username,
        created,
        posts,
    }))
}

/// Replaces a record that was made with another cost, unless it has changed since.
pub fn replace_record(conn: &mut Conn, user_id: i64, old: &str, new: &str) -> QueryResult<usize> {
    diesel::update(user::table.find(user_id).filter(user::password.eq(old)))
        .set(user::password.eq(new))
        .execute(conn)
}
