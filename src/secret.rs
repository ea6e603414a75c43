//! The key that tokens are signed with, generated and kept in the data directory when none is given.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rand::distr::{Alphanumeric, SampleString};
use secrecy::SecretString;

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
}

/// `given`, or the key kept in `dir`, which is generated now if there is none.
///
/// # Errors
/// When it cannot be read or created.
pub fn or_made(given: Option<&SecretString>, dir: &Path) -> Result<SecretString, SecretError> {
    if let Some(secret) = given {
        return Ok(secret.clone());
    }
    let path = dir.join(FILE);
    if !path.exists() {
        make(dir, &path).map_err(|error| SecretError::Unusable(path, error))?;
    }
    kept(dir)
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

/// The key in the platform's `.env.example`: everybody knows it.
pub const PUBLISHED: &str = "your_secret_key";

/// A shorter key can be guessed from one token.
pub const STRONG_BYTES: usize = 32;

/// Letters and digits of a generated key: 256 bits.
const LENGTH: usize = 43;

fn make(dir: &Path, path: &Path) -> io::Result<()> {
    make_dir(dir)?;
    let made = dir.join(format!("{FILE}.{}", std::process::id()));
    let key = Alphanumeric.sample_string(&mut rand::rng(), LENGTH);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&made)?.write_all(key.as_bytes())?;
    // A link, unlike a rename, does not replace a key that another process has put there meanwhile.
    let linked = fs::hard_link(&made, path);
    fs::remove_file(&made)?;
    if path.exists() { Ok(()) } else { linked }
}

/// Creates the data directory, for its owner only: it holds a key, and users' tokens.
///
/// # Errors
/// When it cannot be created.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(kept(dir.path()), Err(SecretError::Missing(_))));
        let first = or_made(None, dir.path()).unwrap();
        assert_eq!(first.expose_secret().len(), LENGTH);
        assert_eq!(or_made(None, dir.path()).unwrap().expose_secret(), first.expose_secret());
        assert_eq!(dir.path().join(FILE).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(or_made(Some(&"given".into()), dir.path()).unwrap().expose_secret(), "given");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
