//! The key that tokens are signed with, made and kept in the data directory when none is given.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rand::distr::{Alphanumeric, SampleString};
use secrecy::SecretString;

/// The kept key cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[error("the key in {0} cannot be used: {1}")]
pub struct SecretError(PathBuf, #[source] io::Error);

/// `given`, or the key kept in `dir`, which is made now if there is none.
///
/// # Errors
/// When it cannot be read or made.
pub fn or_kept(given: Option<&SecretString>, dir: &Path) -> Result<SecretString, SecretError> {
    match given {
        Some(secret) => Ok(secret.clone()),
        None => kept(dir).map_err(|error| SecretError(dir.join(FILE), error)),
    }
}

const FILE: &str = "jwt_secret";

/// Letters and digits of a made key: 256 bits.
const LENGTH: usize = 43;

fn kept(dir: &Path) -> io::Result<SecretString> {
    let path = dir.join(FILE);
    if !path.exists() {
        fs::create_dir_all(dir)?;
        let made = dir.join(format!("{FILE}.{}", std::process::id()));
        let key = Alphanumeric.sample_string(&mut rand::rng(), LENGTH);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&made)?.write_all(key.as_bytes())?;
        // A link, unlike a rename, leaves a key alone that another process has put there meanwhile.
        let linked = fs::hard_link(&made, &path);
        fs::remove_file(&made)?;
        if !path.exists() {
            linked?;
        }
    }
    let key = fs::read_to_string(path)?;
    if key.trim().is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty; delete it to get a new one"));
    }
    Ok(SecretString::from(key.trim()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = or_kept(None, dir.path()).unwrap();
        assert_eq!(first.expose_secret().len(), LENGTH);
        assert_eq!(or_kept(None, dir.path()).unwrap().expose_secret(), first.expose_secret());
        assert_eq!(dir.path().join(FILE).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(or_kept(Some(&"given".into()), dir.path()).unwrap().expose_secret(), "given");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
