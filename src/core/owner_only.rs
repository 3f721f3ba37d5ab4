//! Who may read what is written to the disk: the owner alone. The database has password
//! hashes and drafts, the messages that are files have codes.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

/// Has every file and directory that this process makes from now on belong to its owner
/// alone, whatever the umask was that it was started with.
pub fn begin() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Makes a directory if there is none; not those above it: whoever mistypes a path would
/// get a new place, and not notice. The error is one line.
pub fn make_directory(path: &Path) -> Result<(), String> {
    // That of a bare file name is the one that we are in.
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    match fs::create_dir(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(format!("cannot make the directory {}: {e}", path.display())),
        Ok(()) => Ok(()),
    }
}

/// The database among those files, when other users of the machine can open it: an earlier
/// version made it so, and SQLite gives the files beside it the same mode.
pub fn is_open(database: &Path) -> Option<PathBuf> {
    let others = |path: &Path, bits: u32| {
        fs::metadata(path).is_ok_and(|metadata| metadata.mode() & bits != 0)
    };
    let path = std::path::absolute(database).ok()?;
    // A directory that others may not enter keeps them from everything in it.
    let is_shut = path.parent().is_some_and(|parent| !others(parent, 0o001));
    (others(&path, 0o006) && !is_shut).then_some(path)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_directory_is_made_and_not_those_above() {
        let directory = tempfile::tempdir().unwrap();
        let new = directory.path().join("new");
        assert_eq!(make_directory(&new), Ok(()));
        assert_eq!(make_directory(&new), Ok(()));
        assert_eq!(make_directory(Path::new("")), Ok(()));
        let deep = directory.path().join("not/there");
        let why = make_directory(&deep).unwrap_err();
        assert!(why.contains("not/there") && !deep.exists(), "{why}");
    }

    #[test]
    fn a_database_is_open_where_others_reach_it() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("inkpot.db");
        fs::write(&database, "").unwrap();
        let open = |directory_mode, mode| {
            fs::set_permissions(directory.path(), Permissions::from_mode(directory_mode)).unwrap();
            fs::set_permissions(&database, Permissions::from_mode(mode)).unwrap();
            is_open(&database).is_some()
        };
        assert!(open(0o755, 0o644));
        assert!(open(0o711, 0o666));
        assert!(!open(0o700, 0o644));
        assert!(!open(0o755, 0o600));
        // A group, as for backups, is the operator's choice.
        assert!(!open(0o755, 0o640));
        assert!(is_open(&directory.path().join("not-there.db")).is_none());
    }
}
