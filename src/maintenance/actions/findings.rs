//! What is wrong, said one by one: for the report of a check, and for `inkpot check`.

use crate::maintenance::types::{Finding, FindingKind};
use crate::social::actions::check::{name_of, name_of_list};

/// Findings of a kind that are told one by one.
pub const TOLD: usize = 20;

impl Finding {
    fn new(kind: FindingKind, detail: String) -> Self {
        Self {
            kind,
            post_id: None,
            user_id: None,
            off_by: None,
            detail,
        }
    }

    fn of_post(kind: FindingKind, post_id: i64, detail: String) -> Self {
        Self {
            post_id: Some(post_id),
            ..Self::new(kind, detail)
        }
    }
}

/// List, level and block, and what has to be added.
pub fn list_count(((list, level, block), by): &((String, i32, i64), i64)) -> Finding {
    let detail = format!("list {list} level {level} block {block}: {by:+}");
    Finding {
        off_by: Some(*by),
        ..Finding::new(FindingKind::ListCount, detail)
    }
}

/// Tag, whether published, place, post and author.
pub fn stray_tag((tag, published, place, id, _): &(String, bool, i64, i64, i64)) -> Finding {
    let kind = if *published { "published" } else { "drafts" };
    let detail = format!("tag {tag} ({kind}) place {place}: post {id} is not there");
    Finding::of_post(FindingKind::StrayTag, *id, detail)
}

pub fn untagged_post(id: &i64) -> Finding {
    let detail = format!("post {id} is not under all of its tags");
    Finding::of_post(FindingKind::UntaggedPost, *id, detail)
}

pub fn unfound_post(id: &i64) -> Finding {
    let detail = format!("post {id} is not found by its words");
    Finding::of_post(FindingKind::UnfoundPost, *id, detail)
}

pub fn stray_words(place: &i64) -> Finding {
    let detail = format!("words at place {place} are no post's");
    Finding::new(FindingKind::StrayWords, detail)
}

pub fn unplanned_post(id: &i64) -> Finding {
    let detail = format!("post {id} is scheduled and has no job");
    Finding::of_post(FindingKind::UnplannedPost, *id, detail)
}

/// Post and kind of count, and what has to be added.
pub fn post_count(((id, kind), by): &((i64, i32), i64)) -> Finding {
    let detail = format!("{} of post {id}: {by:+}", name_of(*kind));
    Finding {
        off_by: Some(*by),
        ..Finding::of_post(FindingKind::PostCount, *id, detail)
    }
}

pub fn stray_post(id: &i64) -> Finding {
    let detail = format!("comments or counts of post {id}, which is not there");
    Finding::of_post(FindingKind::StrayPost, *id, detail)
}

/// User and kind of count, and what has to be added.
pub fn user_count(((user_id, kind), by): &((i64, i32), i64)) -> Finding {
    let detail = format!("{} of user {user_id}: {by:+}", name_of_list(*kind));
    Finding {
        user_id: Some(*user_id),
        off_by: Some(*by),
        ..Finding::new(FindingKind::UserCount, detail)
    }
}
