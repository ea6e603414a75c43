//! The key that tokens are signed with, generated and kept in the data directory when none is given.

mod weakness;

use std::{
    fmt::Display,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};

pub use weakness::{STRONG_BYTES, Weakness, different};

use crate::private;

/// Why the kept key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read or created.
    #[error("the key in {0} cannot be used: {1}")]
    Unusable(PathBuf, #[source] io::Error),
    /// There is none.
    #[error(
        "there is no key in {0} yet: start `octavo serve` there first, or set JWT_SECRET or OCTAVO__EMBEDDED__DIR"
    )]
    Missing(PathBuf),
    /// Anybody could sign tokens with it.
    #[error(
        "{key} {weakness}; {advice} (or OCTAVO__AUTH__ALLOW_WEAK_SECRET=true, where strangers cannot connect)"
    )]
    Weak {
        /// What it is, or where.
        key: String,
        /// What is wrong with it.
        weakness: Weakness,
        /// How to get a strong one.
        advice: &'static str,
    },
}

/// `secret`, which was given in the settings.
///
/// # Errors
/// When it is weak, unless weak ones are `allowed`.
pub fn given(secret: &SecretString, allowed: bool) -> Result<SecretString, SecretError> {
    const ADVICE: &str = "set a new one in every service of the platform: openssl rand -base64 48";
    strong(secret.clone(), allowed, "JWT_SECRET", ADVICE)
}

/// The key kept in `dir`, which is generated now if there is none, and is for its owner only from now on.
///
/// # Errors
/// When it cannot be read or created, or is weak, unless weak ones are `allowed`.
pub fn kept_or_made(dir: &Path, allowed: bool) -> Result<SecretString, SecretError> {
    const ADVICE: &str = "delete it to get a new one, and everybody signs in again";
    let path = dir.join(FILE);
    if !path.exists() {
        make(dir, &path).map_err(|error| SecretError::Unusable(path.clone(), error))?;
    }
    private::close(&path);
    strong(kept(dir)?, allowed, format_args!("the key in {}", path.display()), ADVICE)
}

fn strong(
    secret: SecretString,
    allowed: bool,
    key: impl Display,
    advice: &'static str,
) -> Result<SecretString, SecretError> {
    match Weakness::of(secret.expose_secret()).filter(|_| !allowed) {
        Some(weakness) => Err(SecretError::Weak { key: key.to_string(), weakness, advice }),
        None => Ok(secret),
    }
}

/// The key kept in `dir`.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn kept(dir: &Path) -> Result<SecretString, SecretError> {
    let path = dir.join(FILE);
    let key = match fs::read_to_string(&path) {
        Ok(key) if key.trim().is_empty() => Err(io::Error::other("it is empty; delete it to get a new one")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SecretError::Missing(path)),
        read => read,
    };
    key.map(|key| SecretString::from(key.trim())).map_err(|error| SecretError::Unusable(path, error))
}

/// The key's file in the data directory.
pub const FILE: &str = "jwt_secret";

/// Letters and digits of a generated key: 256 bits.
const LENGTH: usize = 43;

fn make(dir: &Path, path: &Path) -> io::Result<()> {
    private::make_dir(dir)?;
    let made = dir.join(format!("{FILE}.{}", std::process::id()));
    let key = Alphanumeric.sample_string(&mut rand::rng(), LENGTH);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(private::OWNER_ONLY)
        .open(&made)?
        .write_all(key.as_bytes())?;
    // A link, unlike a rename, does not replace a key that another process has put there meanwhile.
    let linked = fs::hard_link(&made, path);
    fs::remove_file(&made)?;
    if path.exists() { Ok(()) } else { linked }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(kept(dir.path()), Err(SecretError::Missing(_))));
        let first = kept_or_made(dir.path(), false).unwrap();
        assert_eq!(first.expose_secret().len(), LENGTH);
        assert_eq!(kept_or_made(dir.path(), false).unwrap().expose_secret(), first.expose_secret());
        assert_eq!(private::rights_of_others(&dir.path().join(FILE)).unwrap(), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_kept_key_that_others_can_read_is_closed_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let key = kept_or_made(dir.path(), false).unwrap();
        let path = dir.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(kept_or_made(dir.path(), false).unwrap().expose_secret(), key.expose_secret());
        assert_eq!(private::rights_of_others(&path).unwrap(), None);
    }

    #[test]
    fn a_weak_key_is_used_only_where_that_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "abcd\n").unwrap();
        let error = kept_or_made(dir.path(), false).unwrap_err().to_string();
        assert!(error.contains("has 4 bytes") && error.contains("delete it"), "{error}");
        assert_eq!(kept_or_made(dir.path(), true).unwrap().expose_secret(), "abcd");
        let error = given(&"abcd".into(), false).unwrap_err().to_string();
        assert!(error.starts_with("JWT_SECRET has 4 bytes") && !error.contains("abcd"), "{error}");
        assert_eq!(given(&"abcd".into(), true).unwrap().expose_secret(), "abcd");
    }
}
