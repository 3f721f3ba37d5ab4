//! The installation's secret, from which keys are derived: given in the settings or in a
//! file that they name, or generated at the first start.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::core::db::DatabaseUrl;
use crate::core::owner_only;
use crate::core::settings::{Settings, check_secret, secrets};

const FILE: &str = "jwt-secret";

/// Loads the secrets of the installation, the newest first: new keys are derived from it,
/// old ones from any. The error is one line.
pub fn load(settings: &Settings) -> Result<Vec<Vec<u8>>, String> {
    if let Some(given) = &settings.jwt_secret {
        return Ok(given.0.clone());
    }
    if let Some(path) = settings.jwt_secret_file() {
        return from_file(path);
    }
    if let DatabaseUrl::Mysql(_) = settings.database() {
        return Err(
            "INKPOT_JWT_SECRET must be given with MySQL, or INKPOT_JWT_SECRET_FILE, the same for \
             all processes; make one with: openssl rand -base64 48"
                .to_owned(),
        );
    }
    let path = settings.data_dir.join(FILE);
    let secret = match fs::read(&path) {
        Ok(secret) => secret,
        Err(e) if e.kind() == ErrorKind::NotFound => generate(&settings.data_dir, &path)?,
        Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
    };
    check_mode(&path)?;
    let secret = secret.trim_ascii().to_vec();
    check_secret(&secret).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(vec![secret])
}

/// The secrets of the file that the settings name. Its mode is not looked at: who hands it
/// over (a service manager, a container's runtime) has the file system it is on to itself.
fn from_file(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let failed = |why: String| format!("INKPOT_JWT_SECRET_FILE {}: {why}", path.display());
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    secrets(text.trim())
        .map(|secrets| secrets.0)
        .map_err(failed)
}

/// Generates 256 random bits. Two processes that start at once agree: the file appears
/// whole, by a link that fails when there is one already.
fn generate(directory: &Path, path: &Path) -> Result<Vec<u8>, String> {
    let failed = |what: &str, e: std::io::Error| format!("cannot {what} {}: {e}", path.display());
    owner_only::make_directory(directory)?;
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(|e| format!("no random bits: {e}"))?;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(|e| failed("write", e))?;
    file.write_all(URL_SAFE_NO_PAD.encode(bits).as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|e| failed("write", e))?;
    let linked = fs::hard_link(&draft, path);
    // Best effort: what is left over is unreadable to others and never read again.
    let _ = fs::remove_file(&draft);
    match linked {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(failed("write", e)),
    }
    fs::read(path).map_err(|e| failed("read", e))
}

/// Refuses a file that other users of the machine can read.
fn check_mode(path: &Path) -> Result<(), String> {
    let mode = fs::metadata(path)
        .map_err(|e| format!("cannot read {}: {e}", path.display()))?
        .mode();
    if mode & 0o077 != 0 {
        return Err(format!(
            "{} can be read by others (mode {:o}); chmod 600 it, or give INKPOT_JWT_SECRET",
            path.display(),
            mode & 0o777
        ));
    }
    Ok(())
}
