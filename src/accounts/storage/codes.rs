//! Verification codes as they are kept: issued, tried, consumed, revoked. A row stays
//! until it has expired, used or not, and there is one for each user, purpose, target and order.
//! Of those for one purpose the newest target's alone are good: a new code replaces the old.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::accounts::codes::{
    Bound, CodeKeys, CodeRow, CodeState, Issued, LIFETIME, Order, PAUSE, Purpose, Sendable, TRIES,
};
use crate::accounts::types::NOBODY;
use crate::core::db::schema::{code, user};
use crate::core::db::{Conn, dialect};

/// Why no code is issued for `target` yet: one was, just now. Holds the user's row, so that of
/// a hundred at once one finds no such code.
pub fn wait(
    conn: &mut Conn,
    (user_id, purpose, target): (i64, Purpose, &str),
    now: NaiveDateTime,
) -> QueryResult<Option<Issued>> {
    dialect::lock_user(conn, user_id)?;
    let newest: Option<NaiveDateTime> = code::table
        .filter(code::user_id.eq(user_id))
        .filter(code::purpose.eq(purpose.name()))
        .filter(code::target.eq(target))
        .order(code::created.desc())
        .select(code::created)
        .first(conn)
        .optional()?;
    let recent = newest.filter(|created| *created + PAUSE > now);
    Ok(recent.map(|created| Issued::TooSoon {
        wait: created + PAUSE - now,
        created,
    }))
}

/// Issues a code for `target`, when there is nothing to [`wait`] for, in place of older ones for
/// the same purpose, but for those that others ordered to the same target: nobody takes a code
/// to recover from whoever waits for it by ordering another.
pub fn issue(
    conn: &mut Conn,
    keys: &CodeKeys,
    (user_id, purpose, target): (i64, Purpose, &str),
    order: &Order,
    now: NaiveDateTime,
) -> QueryResult<Issued> {
    let Order {
        nonce,
        order_hash,
        is_invitation: _, // said in its mail
    } = order;
    let of_purpose = || {
        code::table
            .filter(code::user_id.eq(user_id))
            .filter(code::purpose.eq(purpose.name()))
    };
    let same = || {
        of_purpose()
            .filter(code::target.eq(target))
            .filter(code::order_hash.eq(order_hash))
    };
    // Those that went elsewhere for the same purpose are worth nothing from now on.
    diesel::update(
        of_purpose()
            .filter(code::target.ne(target))
            .filter(code::used.is_null()),
    )
    .set(code::used.eq(Some(now)))
    .execute(conn)?;
    let bound = Bound {
        user_id,
        purpose: purpose.name(),
        target,
        nonce,
    };
    // HMAC takes any key, so there is one; and no code has the empty hash.
    let code_hash = keys.hash(&bound).unwrap_or_default();
    diesel::delete(same()).execute(conn)?;
    diesel::insert_into(code::table)
        .values((
            code::user_id.eq(user_id),
            code::purpose.eq(purpose.name()),
            code::target.eq(target),
            code::nonce.eq(nonce),
            code::order_hash.eq(order_hash),
            code::code_hash.eq(code_hash),
            code::tries.eq(0),
            code::created.eq(now),
            code::expires.eq(now + LIFETIME),
        ))
        .execute(conn)?;
    dialect::last_insert(conn).map(Issued::New)
}

/// The code with this id; `None` when it was replaced, used, revoked or is too old,
/// so that nobody gets what is worth nothing.
pub fn find_sendable(
    conn: &mut Conn,
    keys: &CodeKeys,
    code_id: i64,
    now: NaiveDateTime,
) -> QueryResult<Option<Sendable>> {
    let row: Option<CodeRow> = code::table
        .inner_join(user::table)
        .filter(code::code_id.eq(code_id))
        .filter(code::used.is_null())
        .filter(code::expires.gt(now))
        .filter(user::is_active.eq(true))
        .select(CodeRow::as_select())
        .first(conn)
        .optional()?;
    Ok(row.and_then(|row| {
        Some(Sendable {
            purpose: Purpose::named(&row.purpose)?,
            code: keys.derive(&row.bound(), &row.code_hash)?,
            target: row.target,
        })
    }))
}

/// Whether a code that can still be used was ordered by whoever knows what this is the hash of.
pub fn is_ordered(
    conn: &mut Conn,
    (user_id, purpose): (Option<i64>, Purpose),
    order_hash: &str,
    now: NaiveDateTime,
) -> QueryResult<bool> {
    let found: Option<i64> = code::table
        .filter(code::user_id.eq(user_id.unwrap_or(NOBODY)))
        .filter(code::purpose.eq(purpose.name()))
        .filter(code::order_hash.eq(order_hash))
        .filter(code::used.is_null())
        .filter(code::tries.lt(TRIES))
        .filter(code::expires.gt(now))
        .select(code::code_id)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Compares with the code that whoever tries ordered, a try that is counted before; gives the
/// code if it was right. It is the same work for a user who has no code, and where there is
/// no user. Commit it whatever comes out.
pub fn try_code(
    conn: &mut Conn,
    keys: &CodeKeys,
    (user_id, purpose): (Option<i64>, Purpose),
    order_hash: &str,
    text: &str,
    now: NaiveDateTime,
) -> QueryResult<Option<CodeRow>> {
    let user_id = user_id.unwrap_or(NOBODY);
    let own = || {
        code::table
            .filter(code::user_id.eq(user_id))
            .filter(code::purpose.eq(purpose.name()))
            .filter(code::order_hash.eq(order_hash))
    };
    // The row is held from here on: those who try at once come one after the other.
    let counted = diesel::update(
        own()
            .filter(code::used.is_null())
            .filter(code::tries.lt(TRIES))
            .filter(code::expires.gt(now)),
    )
    .set(code::tries.eq(code::tries + 1))
    .execute(conn)?;
    // The newest, which is the only one that may be unused.
    let newest = own().order(code::code_id.desc());
    let found = newest.select(CodeRow::as_select()).first(conn).optional()?;
    let row = found.unwrap_or_else(|| nobodys(user_id, purpose, now));
    let is_right = keys.matches(&row.bound(), text, &row.code_hash);
    Ok((is_right && counted == 1).then_some(row))
}

/// Compares with all codes of the user, whoever ordered them, and counts at none of them: whoever
/// did not order a code does not use up the tries of who did. The limits of the caller are all
/// that holds who guesses.
pub fn try_any_code(
    conn: &mut Conn,
    keys: &CodeKeys,
    (user_id, purpose): (Option<i64>, Purpose),
    text: &str,
    now: NaiveDateTime,
) -> QueryResult<Option<CodeRow>> {
    let user_id = user_id.unwrap_or(NOBODY);
    let mut rows: Vec<CodeRow> = code::table
        .filter(code::user_id.eq(user_id))
        .filter(code::purpose.eq(purpose.name()))
        .filter(code::used.is_null())
        .filter(code::tries.lt(TRIES))
        .filter(code::expires.gt(now))
        .order(code::code_id.desc())
        .limit(AT_ONCE)
        .select(CodeRow::as_select())
        .load(conn)?;
    if rows.is_empty() {
        rows.push(nobodys(user_id, purpose, now));
    }
    let right = |row: &CodeRow| keys.matches(&row.bound(), text, &row.code_hash);
    Ok(rows.into_iter().find(right))
}

/// Codes of one purpose that can be used at once: more are not issued in their lifetime.
const AT_ONCE: i64 = 10;

/// A code that no text is.
fn nobodys(user_id: i64, purpose: Purpose, now: NaiveDateTime) -> CodeRow {
    CodeRow {
        code_id: 0,
        user_id,
        purpose: purpose.name().to_owned(),
        target: String::new(),
        nonce: String::new(),
        code_hash: URL_SAFE_NO_PAD.encode([0_u8; 32]),
        tries: 0,
        created: now,
        expires: now,
        used: None,
    }
}

/// What became of the code that the user was sent last for a purpose.
pub fn find_state(
    conn: &mut Conn,
    (user_id, purpose): (i64, Purpose),
    now: NaiveDateTime,
) -> QueryResult<CodeState> {
    let newest: Option<CodeRow> = code::table
        .filter(code::user_id.eq(user_id))
        .filter(code::purpose.eq(purpose.name()))
        .order(code::code_id.desc())
        .select(CodeRow::as_select())
        .first(conn)
        .optional()?;
    Ok(match newest {
        Some(row) if row.used.is_some() => CodeState::Used,
        Some(row) if row.expires <= now => CodeState::Expired,
        _ => CodeState::Other,
    })
}

/// Consumes a code; false when another was faster.
pub fn consume(conn: &mut Conn, code_id: i64, now: NaiveDateTime) -> QueryResult<bool> {
    let used = diesel::update(code::table.find(code_id).filter(code::used.is_null()))
        .set(code::used.eq(Some(now)))
        .execute(conn)?;
    Ok(used == 1)
}

/// Revokes codes of a user: what they were bound to has changed.
pub fn revoke(
    conn: &mut Conn,
    user_id: i64,
    purposes: &[Purpose],
    now: NaiveDateTime,
) -> QueryResult<()> {
    let names = purposes.iter().map(|purpose| purpose.name());
    diesel::update(
        code::table
            .filter(code::user_id.eq(user_id))
            .filter(code::purpose.eq_any(names.collect::<Vec<_>>()))
            .filter(code::used.is_null()),
    )
    .set(code::used.eq(Some(now)))
    .execute(conn)
    .map(drop)
}

/// The codes of a user, of which the export tells.
pub fn load_of_user(conn: &mut Conn, user_id: i64) -> QueryResult<Vec<CodeRow>> {
    code::table
        .filter(code::user_id.eq(user_id))
        .order(code::code_id)
        .select(CodeRow::as_select())
        .load(conn)
}

/// Deletes some codes that have expired; gives how many.
pub fn delete_expired(conn: &mut Conn, now: NaiveDateTime, limit: i64) -> QueryResult<usize> {
    let ids: Vec<i64> = code::table
        .filter(code::expires.le(now))
        .limit(limit)
        .select(code::code_id)
        .load(conn)?;
    diesel::delete(code::table.filter(code::code_id.eq_any(ids))).execute(conn)
}
