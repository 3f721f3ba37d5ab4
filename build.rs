//! Takes the viewer of `/docs` out of the archive that its package has, and has the crate built again
//! when a migration is added: `embed_migrations!` cannot say what it reads.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ARCHIVE;

/// What is taken, of some dozens of files.
const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

// Cargo says by the environment where the files go.
#[allow(clippy::disallowed_methods)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=build.rs");
    let place = env::var("OUT_DIR")?;
    for name in FILES {
        let file = find(ARCHIVE, &format!("/dist/{name}"));
        let file = file.ok_or_else(|| format!("the package of Swagger UI has no {name}"))?;
        fs::write(Path::new(&place).join(format!("{name}.gz")), file.gzip())?;
    }
    Ok(())
}

/// A file of an archive, compressed by deflate.
struct Deflated<'a> {
    bytes: &'a [u8],
    crc32: &'a [u8],
    /// Of the file as it is.
    size: &'a [u8],
}

impl Deflated<'_> {
    /// The same as gzip has it (RFC 1952), with nothing compressed anew.
    fn gzip(&self) -> Vec<u8> {
        let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
        [&head, self.bytes, self.crc32, self.size].concat()
    }
}

/// Signatures and sizes of the parts of an archive (PKWARE's APPNOTE 6.3.10, 4.3).
const END: &[u8] = b"PK\x05\x06";
const HEADER: &[u8] = b"PK\x01\x02";
const HEADER_SIZE: usize = 46;
const LOCAL_SIZE: usize = 30;
/// The method of compression.
const DEFLATE: usize = 8;

/// The file whose path ends so.
fn find<'a>(archive: &'a [u8], end: &str) -> Option<Deflated<'a>> {
    let last = archive.windows(END.len()).rposition(|bytes| bytes == END)?;
    let mut rest = archive.get(number(archive.get(last..)?, 16, 4)?..)?;
    while rest.starts_with(HEADER) {
        let [name, extra, comment] = [28, 30, 32].map(|at| number(rest, at, 2));
        let name_end = HEADER_SIZE + name?;
        if rest.get(HEADER_SIZE..name_end)?.ends_with(end.as_bytes()) {
            let (size, at) = (number(rest, 20, 4)?, number(rest, 42, 4)?);
            let local = archive.get(at..)?;
            let begin = LOCAL_SIZE + number(local, 26, 2)? + number(local, 28, 2)?;
            let file = Deflated {
                bytes: local.get(begin..begin + size)?,
                crc32: rest.get(16..20)?,
                size: rest.get(24..28)?,
            };
            return (number(rest, 10, 2)? == DEFLATE).then_some(file);
        }
        rest = rest.get(name_end + extra? + comment?..)?;
    }
    None
}

/// A number of so many bytes, the lowest first.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + size)?.iter().rev();
    Some(bytes.fold(0, |number, byte| number << 8 | usize::from(*byte)))
}
