//! The transport into files, where nothing else takes messages.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Writes messages into the directory `outbox` of the data directory.
pub struct FileTransport {
    directory: PathBuf,
}

impl FileTransport {
    /// Makes nothing yet.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            directory: data_dir.join("outbox"),
        }
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts a file there, whole or not at all, in place of one of that name. Blocks.
    /// The error is one line.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<PathBuf, String> {
        let path = self.directory.join(name);
        self.write(&path, name, content)
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        Ok(path)
    }

    fn write(&self, path: &Path, name: &str, content: &[u8]) -> io::Result<()> {
        if let Some(parent) = self.directory.parent() {
            fs::create_dir_all(parent)?;
        }
        // Codes are in the files: nobody else may read them.
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let draft = self
            .directory
            .join(format!(".{name}.{}.part", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        // The name is kept by the directory.
        File::open(&self.directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_repeat_is_the_same_file_and_nobody_else_reads_it() {
        let data = tempfile::tempdir().unwrap();
        let files = FileTransport::new(&data.path().join("new"));
        let path = files.put("a-1.eml", b"first").unwrap();
        assert_eq!(files.put("a-1.eml", b"again").unwrap(), path);
        let names: Vec<_> = fs::read_dir(files.directory())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["a-1.eml"]);
        assert_eq!(fs::read(&path).unwrap(), b"again");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(files.directory()), mode(&path)), (0o700, 0o600));
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let data = tempfile::tempdir().unwrap();
        let files = FileTransport::new(data.path());
        fs::write(files.directory(), "in the way").unwrap();
        let why = files.put("a-1.eml", b"x").unwrap_err();
        assert!(
            why.starts_with("cannot write ") && !why.contains('\n'),
            "{why}"
        );
    }
}
