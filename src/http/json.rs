//! JSON objects as far as bodies need them: their members with scalar values and
//! lists of texts. The rest is read over, so that no body costs more than its bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Code, Error, FieldError};

/// More members than any body has; the rest is read over, so that a body of a
/// million members costs no more than its bytes.
const MAX_MEMBERS: usize = 64;
/// The same for the items of a list.
const MAX_ITEMS: usize = 64;
/// Characters of a foreign name that a refusal repeats.
const MAX_NAME: usize = 64;

/// The members of a JSON object in their order, duplicates told apart.
#[derive(Default)]
pub struct Members {
    pub all: Vec<(String, Scalar)>,
    pub duplicates: Vec<String>,
}

/// A value as far as bodies need it: of lists and objects only that they are.
#[derive(Debug, PartialEq, Eq)]
pub enum Scalar {
    Null,
    Boolean(bool),
    Text(String),
    /// A whole number that 64 bits with a sign have room for.
    Number(i64),
    /// The first of its items, those that are texts, and how many there are.
    List(Vec<Option<String>>, usize),
    Other,
}

impl Members {
    /// Reads a whole body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let members = reader.deserialize_any(MembersVisitor).and_then(|members| {
            reader.end()?;
            Ok(members)
        });
        members.map_err(|error| {
            if error.is_data() {
                let detail = "the body must be a JSON object";
                Error::fields(vec![FieldError::of_body(Code::FieldMistyped, detail)])
            } else {
                // The parser's words on syntax, with line and column.
                Error::with_detail(Code::MalformedJson, error.to_string())
            }
        })
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<String>()? {
            if members.all.len() == MAX_MEMBERS {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value()?;
            let name = shortened(name);
            if !members.all.iter().any(|(known, _)| *known == name) {
                members.all.push((name, value));
            } else if !members.duplicates.contains(&name) {
                members.duplicates.push(name);
            }
        }
        Ok(members)
    }
}

fn shortened(name: String) -> String {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(value).map_or(Scalar::Other, Scalar::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        let mut items = Vec::new();
        let mut length = 0;
        while items.len() < MAX_ITEMS {
            let Some(Item(text)) = seq.next_element()? else {
                return Ok(Scalar::List(items, length));
            };
            items.push(text);
            length += 1;
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            length += 1;
        }
        Ok(Scalar::List(items, length))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// An item of a list, as far as it is a text: lists in lists are read over.
struct Item(Option<String>);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ItemVisitor).map(Self)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
