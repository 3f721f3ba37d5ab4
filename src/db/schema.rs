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
    }
}

diesel::table! {
    post (post_id) {
        post_id -> BigInt,
        author_id -> BigInt,
        title -> Text,
        date -> Timestamp,
        updated -> Timestamp,
    }
}

diesel::table! {
    content (post_id) {
        post_id -> BigInt,
        body -> Text,
    }
}

diesel::joinable!(post -> user (author_id));
diesel::joinable!(content -> post (post_id));
diesel::allow_tables_to_appear_in_same_query!(user, post, content);
