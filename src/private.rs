//! Files for their owner only, whatever the umask is: they hold the signing key, users' tokens and characters.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// The mode of a file for its owner only.
pub const OWNER_ONLY: u32 = 0o600;

/// Rights of the group and of all others.
const OTHERS: u32 = 0o077;

/// Creates the data directory, for its owner only; one that is there already is left as it is.
///
/// # Errors
/// When it cannot be created.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Opens `path` to read and write, and creates it first if it is not there.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(OWNER_ONLY).open(path)
}

/// Takes the rights that others have to the file at `path`, if it is there, and warns that they had them. It is not an
/// error if they cannot be taken: not every file system has modes.
pub fn close(path: &Path) {
    let mode = match rights_of_others(path) {
        Ok(None) => return,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Ok(Some(mode)) => mode,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "cannot see who may read this file");
            return;
        }
    };
    match fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY)) {
        Ok(()) => tracing::warn!(
            path = %path.display(),
            "this file had the mode {mode:o}, and has {OWNER_ONLY:o} now: others may have read or changed it"
        ),
        Err(error) => tracing::warn!(
            %error, path = %path.display(),
            "this file has the mode {mode:o}, which cannot be changed: others may read or change it"
        ),
    }
}

/// The mode of `path`, if others have any rights to it.
///
/// # Errors
/// When it is not there, or cannot be examined.
pub fn rights_of_others(path: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    Ok(Some(mode).filter(|mode| mode & OTHERS != 0))
}

/// What others can do in the directory `dir`, if anything.
///
/// # Errors
/// When it is not there, or cannot be examined.
pub fn lax_dir(dir: &Path) -> io::Result<Option<String>> {
    const WRITE: u32 = 0o022;
    let told = |mode| {
        let can = if mode & WRITE == 0 {
            "see its files, and read each that is made or copied there without care"
        } else {
            "put a key and a database of their own in the place of ours"
        };
        format!("{} has the mode {mode:o}: other users can {can}", dir.display())
    };
    Ok(rights_of_others(dir)?.map(told))
}
