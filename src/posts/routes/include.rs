//! The parameter `include`: what is shown of posts beside what an answer has.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use crate::error::{Code, Error};
use crate::http::page::query_value;
use crate::posts::list::Include;

/// Reads the parameter, names with commas between them; an empty one is none.
/// `is_list`: `content` is asked for as well, which a single post has.
pub fn include_of(query: &str, is_list: bool) -> Result<Include, Error> {
    let mut include = Include::default();
    let names = query_value(query, "include").unwrap_or_default();
    for name in names.split(',').filter(|_| !names.is_empty()) {
        match name {
            "html" => include.html = true,
            "content" if is_list => include.content = true,
            "snippet" if is_list => include.snippet = true,
            _ => return Err(invalid(is_list)),
        }
    }
    Ok(include)
}

fn invalid(is_list: bool) -> Error {
    let detail = if is_list {
        "The parameter include is content, html and snippet, with commas between them."
    } else {
        "The parameter include is html."
    };
    Error::with_detail(Code::QueryInvalid, detail)
}

/// What is included, by the names of [`include_of`]; `None` for nothing.
pub fn include_names(include: Include) -> Option<String> {
    let Include {
        snippet,
        content,
        html,
    } = include;
    let names = [(content, "content"), (html, "html"), (snippet, "snippet")];
    let names: Vec<&str> = (names.into_iter())
        .filter_map(|(is_there, name)| is_there.then_some(name))
        .collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// Its schema: these names with commas between them.
pub fn include_schema(names: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^$|^({names})(,({names}))*$")))
        .into()
}
