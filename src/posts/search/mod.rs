//! Full-text search: the text of a post and of a query as both databases see them, tokens
//! of plain ASCII.
//!
//! Neither database's own parser knows all languages, and they do not know the same
//! ones: so all is cut into tokens here (`words`, the tokenizer), spelt so that no parser can cut,
//! fold or skip them (`letters`), rid of what stands there twice (`repeats`), kept apart by
//! who may find them (`scope`), and looked for in each one's own terms (`query`).

mod letters;
mod query;
mod rank;
mod repeats;
mod scope;
mod snippet;
mod weights;
mod words;

use words::{AUTHOR_MAX, TITLE_MAX, WORDS_MAX, Words, in_title};

pub use query::{PHRASE_MAX, Query, TooLong};
pub use rank::{Candidate, score};
pub use scope::Scope;
pub use snippet::{Mark, Snippet};
pub use weights::WEIGHTS_MAX;
pub use words::INDEXED_MAX;

/// Stands between title, tags, content and the author's name. No word begins with a `z`.
const BETWEEN: &str = "zzz";
/// What is kept of a post so that it is found and ranked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostWords {
    /// Its tokens.
    pub text: String,
    /// How much its content is about the words of it; at most [`WEIGHTS_MAX`] bytes.
    pub weights: Vec<u8>,
}

/// The words of a post. Its tokens have one space between them, the title's first, as such and as
/// others, then those of each tag and the content's: ASCII letters and digits, each token of 3 to
/// 84 bytes and no stop word of `InnoDB`. At most [`INDEXED_MAX`] bytes with the
/// author's, cut between tokens. A passage that stood before is not in it again. How they are
/// stored is for the [`Scope`] of the post to say, and [`with_author`].
pub fn words_of(title: &str, tags: &[&str], content: &str) -> PostWords {
    let mut words = Words::new(WORDS_MAX - TITLE_MAX);
    words.read(title);
    let mut text = in_title(&words.text);
    text.push(' ');
    text.push_str(BETWEEN);
    text.push(' ');
    for tag in tags {
        words.token(|text| text.push_str(BETWEEN));
        words.read(tag);
    }
    words.token(|text| text.push_str(BETWEEN));
    let before = words.text.len();
    words.read(content);
    let weights = weights::weights_of(words.text[before..].trim_start());
    text.push_str(&repeats::without_repeats(words.text));
    PostWords {
        text: text.trim_start().to_owned(),
        weights,
    }
}

/// The tokens of a post as they are stored: those of its author's name before the others, which the
/// scope has spelt. Quick enough for a transaction, which alone knows the name for certain.
pub fn with_author(author: &str, spelt: &str, scope: Scope) -> String {
    let mut words = Words::new(AUTHOR_MAX / 4);
    words.read(author);
    words.token(|text| text.push_str(BETWEEN));
    let mut all = String::with_capacity(2 * words.text.len() + spelt.len() + 1);
    all.push_str(&scope.spell(&words.text));
    all.push(' ');
    all.push_str(spelt);
    all
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;
    use diesel::sql_types::{BigInt, Text};
    use diesel::{SqliteConnection, sql_query};

    use super::*;

    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        place: i64,
    }

    /// Title and content; a text's place is its index.
    const TEXTS: &[(&str, &str)] = &[
        ("Quick foxes", "The quick brown fox isn't lazy."),
        ("Dogs", "A lazy dog, and a brown foxhound: quite quick!"),
        ("Café", "Straße nach Köln"),
        ("Cafe", "strasse"),
        ("Ёжик в тумане", "Привет, мир"),
        ("हिन्दी", "यह हिन्दी में है"),
        ("ภาษาไทย", "ฉันรักประเทศไทยมาก"),
        ("中文标题", "我们在北京大学学习中文，很好。"),
        ("日本", "東京でラーメンを食べる iPhone手机"),
        ("한국어", "나는 한국어를 배우다"),
        ("哈哈", "哈哈哈哈哈 brown"),
        ("of the", "www in is www"),
    ];

    /// A query and the places of the texts that it finds.
    const QUERIES: &[(&str, &[i64])] = &[
        ("quick", &[0, 1]),
        ("QUICK LAZY", &[0, 1]),
        ("quick fox", &[0]),
        ("fox", &[0]),
        ("fox*", &[0, 1]),
        ("ox", &[]),
        ("quic", &[]),
        ("qui*", &[0, 1]),
        ("quit*", &[1]),
        ("\"quick brown\"", &[0]),
        ("\"brown quick\"", &[]),
        ("\"brown fox\"", &[0]),
        ("\"brown fox*\"", &[0, 1]),
        ("\"the quick brown fox*\"", &[0]),
        ("lazy-dog", &[1]),
        ("isn't", &[0]),
        ("\"foxes the\"", &[]),
        ("\"a lazy\"", &[1]),
        ("a", &[1]),
        ("-quick", &[0, 1]),
        ("café", &[2, 3]),
        ("cafe", &[2, 3]),
        ("caf*", &[2, 3]),
        ("cafe\u{301}", &[2, 3]),
        ("STRAẞE", &[2, 3]),
        ("Koln", &[2]),
        ("k*", &[2]),
        ("ежик ПРИВЕТ", &[4]),
        ("прив", &[]),
        ("прив*", &[4]),
        ("в", &[4]),
        ("हिन्दी", &[5]),
        ("हिन*", &[5]),
        ("हिन", &[]),
        ("ประเทศ", &[6]),
        ("ไทย", &[6]),
        ("ย", &[6]),
        ("ทยไ", &[]),
        ("北京", &[7]),
        ("京大", &[7]),
        ("北大", &[]),
        ("北京大学", &[7]),
        ("大学北京", &[]),
        ("中文", &[7]),
        ("题我", &[]),
        ("\"标题 我们\"", &[]),
        ("\"学习中文 很\"", &[7]),
        ("中", &[7]),
        ("文", &[7]),
        ("好", &[7]),
        ("京", &[7, 8]),
        ("坏", &[]),
        ("ラーメン", &[8]),
        ("ﾗｰﾒﾝ", &[8]),
        ("食べ", &[8]),
        ("手机", &[8]),
        ("iphone", &[8]),
        ("iPhone手", &[8]),
        ("\"食べる iphone\"", &[8]),
        ("한국", &[9]),
        ("국어", &[9]),
        ("어를 한국어", &[9]),
        ("어나", &[]),
        ("哈", &[10]),
        ("哈哈哈", &[10]),
        ("哈哈哈哈哈", &[10]),
        ("哈哈哈哈哈哈", &[]),
        ("哈哈 brown", &[10]),
        ("of", &[11]),
        ("\"of the\"", &[11]),
        ("\"the www\"", &[]),
        ("www* in i*", &[11]),
        ("zzz", &[]),
        ("z*", &[]),
    ];

    fn table() -> SqliteConnection {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        sql_query(
            "CREATE VIRTUAL TABLE w USING \
             fts5(words, content='', contentless_delete=1, tokenize='ascii')",
        )
        .execute(&mut conn)
        .unwrap();
        for (place, (title, content)) in (0i64..).zip(TEXTS) {
            sql_query("INSERT INTO w (rowid, words) VALUES (?, ?)")
                .bind::<BigInt, _>(place)
                .bind::<Text, _>(words_of(title, &[], content).text)
                .execute(&mut conn)
                .unwrap();
        }
        conn
    }

    fn find(conn: &mut SqliteConnection, query: &str) -> Vec<i64> {
        let found: Vec<Found> =
            sql_query("SELECT rowid AS place FROM w WHERE w MATCH ? ORDER BY 1")
                .bind::<Text, _>(Query::parse(query).unwrap().to_fts5(Scope::Published))
                .load(conn)
                .unwrap();
        found.iter().map(|row| row.place).collect()
    }

    #[test]
    fn queries_find_what_they_should_and_nothing_else() {
        let conn = &mut table();
        for (query, places) in QUERIES {
            assert_eq!(find(conn, query), *places, "{query}");
        }
    }

    #[test]
    fn the_database_takes_the_largest_query() {
        let conn = &mut table();
        let long = "長".repeat(PHRASE_MAX);
        assert!(find(conn, &format!("{long} 1")).is_empty());
        let words: Vec<String> = (0..PHRASE_MAX).map(|n| format!("w{n}")).collect();
        let all = words.join(" ");
        for (place, text) in [(98, &long), (99, &all)] {
            sql_query("INSERT INTO w (rowid, words) VALUES (?, ?)")
                .bind::<BigInt, _>(place)
                .bind::<Text, _>(words_of("", &[], text).text)
                .execute(conn)
                .unwrap();
        }
        assert_eq!(find(conn, &long), [98]);
        assert_eq!(find(conn, &all), [99]);
        assert_eq!(find(conn, &format!("\"{all}\"")), [99]);
        assert!(find(conn, &all.replace("w7 ", "x7 ")).is_empty());
    }

    #[test]
    fn title_and_content_stand_apart() {
        let words_of = |title, tags, content| words_of(title, tags, content).text;
        assert_eq!(words_of("One", &[], "two"), "taaone zzz aaone zzz aatwo");
        assert_eq!(
            words_of("!", &["a b", "c"], "?"),
            "zzz zzz aaa aab zzz aac zzz"
        );
        assert_eq!(words_of("zz", &[], ""), "taazz zzz aazz zzz");
    }

    #[test]
    fn the_name_of_the_author_is_found_in_the_same_scope() {
        let words = words_of("One", &[], "two").text;
        let spelt = with_author("Ann Ö'Neil", &words, Scope::Published);
        assert_eq!(spelt, "aaann aao aaneil zzz taaone zzz aaone zzz aatwo");
        let scope = Scope::DraftsOf(7);
        let spelt = with_author("Ann", &scope.spell(&words), scope);
        assert_eq!(spelt, "d7aaann d7zzz d7taaone d7zzz d7aaone d7zzz d7aatwo");
        // The longest there may be.
        for name in ["𞤢 ".repeat(32), "𞤢".repeat(64), "中".repeat(64)] {
            let spelt = with_author(&name, "", Scope::DraftsOf(i64::MAX));
            assert!(
                spelt.ends_with("zzz ") && spelt.len() < AUTHOR_MAX,
                "{}",
                spelt.len()
            );
        }
    }

    #[test]
    fn the_text_beyond_is_not_stored() {
        let text: Vec<String> = (0..INDEXED_MAX / 8).map(|n| n.to_string()).collect();
        let words = words_of("title", &[], &text.join(" ")).text;
        assert!((WORDS_MAX - TITLE_MAX - 11..=WORDS_MAX).contains(&words.len()));
    }

    #[test]
    fn a_text_that_repeats_itself_has_few_words() {
        for text in ["中", "a ", "ab cd ", "一二三", "word ", "ใช่"] {
            let words = words_of("", &[], &text.repeat((1 << 20) / text.len())).text;
            let tokens = words.split(' ').count();
            assert!(tokens <= 3 * PHRASE_MAX, "{text}: {tokens}");
            let conn = &mut table();
            sql_query("INSERT INTO w (rowid, words) VALUES (99, ?)")
                .bind::<Text, _>(&words)
                .execute(conn)
                .unwrap();
            let query = format!("\"{}\"", text.repeat(PHRASE_MAX / text.chars().count()));
            assert_eq!(find(conn, &query), [99], "{text}");
        }
    }

    #[test]
    fn a_heap_of_marks_is_one_word() {
        let text = format!("a{}b c", "\u{301}".repeat(500_000));
        let words = words_of("", &[], &text).text;
        assert_eq!(words.split(' ').count(), 4);
    }

    #[test]
    fn the_database_takes_whatever_was_typed() {
        let conn = &mut table();
        for text in [
            "\" \0 fox",
            "\"* quick + (fox) ~",
            "fox) OR (dog",
            "NEAR(fox dog, 2)",
            "words:fox",
            "^fox NOT dog",
            "{words} : fox",
            "fox\"\"dog\"",
            "'; DROP TABLE w",
        ] {
            assert!(find(conn, text).len() < TEXTS.len(), "{text}");
        }
        assert_eq!(find(conn, "+quick +(fox) ~"), [0]);
    }
}
