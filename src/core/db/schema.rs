//! The tables as Diesel sees them, the same for both databases.

diesel::table! {
    user (user_id) {
        user_id -> BigInt,
        email -> Text,
        email_key -> Text,
        name -> Text,
        username -> Nullable<Text>,
        username_key -> Nullable<Text>,
        mobile -> Nullable<Text>,
        mobile_key -> Nullable<Text>,
        password -> Text,
        role -> Text,
        is_active -> Bool,
        email_verified -> Bool,
        mobile_verified -> Bool,
        created -> Timestamp,
        updated -> Timestamp,
        bio -> Nullable<Text>,
        image -> Nullable<Text>,
    }
}

diesel::table! {
    post (post_id) {
        post_id -> BigInt,
        author_id -> BigInt,
        title -> Text,
        date -> Timestamp,
        updated -> Timestamp,
        published -> Bool,
        place -> BigInt,
        tags -> Text,
        withdrawn -> Bool,
        created -> Nullable<Timestamp>,
        format -> Text,
        slug -> Nullable<Text>,
        summary -> Nullable<Text>,
        own_summary -> Bool,
        weights -> Binary,
        publish_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    old_slug (slug) {
        slug -> Text,
        post_id -> BigInt,
        replaced -> Timestamp,
    }
}

diesel::table! {
    post_tag (tag, published, place) {
        tag -> Text,
        published -> Bool,
        place -> BigInt,
        post_id -> BigInt,
        author_id -> BigInt,
    }
}

diesel::table! {
    post_count (list, level, block, slot) {
        list -> Text,
        level -> Integer,
        block -> BigInt,
        slot -> Integer,
        posts -> BigInt,
    }
}

diesel::table! {
    count_upkeep (name) {
        name -> Text,
        version -> BigInt,
        filled -> Bool,
        ended -> Nullable<Timestamp>,
    }
}

diesel::table! {
    post_unindexed (post_id) {
        post_id -> BigInt,
    }
}

diesel::table! {
    idempotency (user_id, idempotency_key) {
        user_id -> BigInt,
        idempotency_key -> Text,
        request_hash -> Text,
        post_id -> BigInt,
        etag -> Text,
        answer -> Binary,
        created -> Timestamp,
    }
}

diesel::table! {
    content (post_id) {
        post_id -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    comment (comment_id) {
        comment_id -> BigInt,
        post_id -> BigInt,
        author_id -> Nullable<BigInt>,
        reply_to -> Nullable<BigInt>,
        content -> Text,
        created -> Timestamp,
        updated -> Timestamp,
        deleted -> Bool,
    }
}

diesel::table! {
    post_like (post_id, user_id) {
        post_id -> BigInt,
        user_id -> BigInt,
        created -> Timestamp,
    }
}

diesel::table! {
    follow (follow_id) {
        follow_id -> BigInt,
        follower_id -> BigInt,
        followed_id -> BigInt,
        created -> Timestamp,
    }
}

diesel::table! {
    user_stat (user_id, kind, slot) {
        user_id -> BigInt,
        kind -> Integer,
        slot -> Integer,
        number -> BigInt,
    }
}

diesel::table! {
    post_stat (post_id, kind, slot) {
        post_id -> BigInt,
        kind -> Integer,
        slot -> Integer,
        number -> BigInt,
    }
}

diesel::table! {
    post_leftover (post_id) {
        post_id -> BigInt,
    }
}

diesel::table! {
    session (session_id) {
        session_id -> BigInt,
        user_id -> BigInt,
        remembered -> Bool,
        nonce -> Text,
        generation -> Integer,
        refresh_hash -> Text,
        user_agent -> Text,
        ip -> Text,
        created -> Timestamp,
        rotated -> Timestamp,
        expires -> Timestamp,
    }
}

diesel::table! {
    session_event (event_id) {
        event_id -> BigInt,
        user_id -> BigInt,
        session_id -> Nullable<BigInt>,
        at -> Timestamp,
    }
}

diesel::table! {
    audit (audit_id) {
        audit_id -> BigInt,
        at -> Timestamp,
        user_id -> Nullable<BigInt>,
        actor_id -> Nullable<BigInt>,
        action -> Text,
        ip -> Text,
        request_id -> Text,
        detail -> Text,
    }
}

diesel::table! {
    signing_key (kid) {
        kid -> Text,
        alg -> Text,
        sealed -> Text,
        public_key -> Nullable<Text>,
        created -> Timestamp,
        activates -> Timestamp,
        retires -> Nullable<Timestamp>,
    }
}

diesel::table! {
    installation (name) {
        name -> Text,
        admin_changes -> BigInt,
        audit_forgotten -> BigInt,
    }
}

diesel::table! {
    job (job_id) {
        job_id -> BigInt,
        kind -> Text,
        lane -> Text,
        state -> Text,
        due -> Nullable<Timestamp>,
        lease -> Nullable<Text>,
        attempts -> Integer,
        payload -> Text,
        dedup_key -> Nullable<Text>,
        user_id -> Nullable<BigInt>,
        last_error -> Nullable<Text>,
        created -> Timestamp,
        finished -> Nullable<Timestamp>,
        request_id -> Nullable<Text>,
        traceparent -> Nullable<Text>,
    }
}

diesel::table! {
    code (code_id) {
        code_id -> BigInt,
        user_id -> BigInt,
        purpose -> Text,
        target -> Text,
        nonce -> Text,
        code_hash -> Text,
        tries -> Integer,
        created -> Timestamp,
        expires -> Timestamp,
        used -> Nullable<Timestamp>,
        order_hash -> Text,
    }
}

diesel::table! {
    message_budget (bucket) {
        bucket -> Text,
        until -> Timestamp,
        sent -> Integer,
    }
}

diesel::table! {
    replica_heartbeat (id) {
        id -> Integer,
        beat -> BigInt,
        at -> Timestamp,
    }
}

diesel::table! {
    consistency_check (id) {
        id -> Integer,
        job_id -> Nullable<BigInt>,
        asked -> Nullable<Timestamp>,
        part -> Integer,
        found -> Text,
        report -> Nullable<Text>,
        report_asked -> Nullable<Timestamp>,
        report_finished -> Nullable<Timestamp>,
    }
}

diesel::joinable!(session -> user (user_id));
diesel::joinable!(code -> user (user_id));
diesel::joinable!(post -> user (author_id));
diesel::joinable!(content -> post (post_id));
diesel::joinable!(post_tag -> post (post_id));
diesel::joinable!(old_slug -> post (post_id));
diesel::allow_tables_to_appear_in_same_query!(
    user,
    code,
    comment,
    job,
    post,
    post_tag,
    old_slug,
    content,
    session,
    session_event,
    audit
);
diesel::allow_tables_to_appear_in_same_query!(replica_heartbeat, installation);
