//! The data directory of the embedded store.

use std::{
    fmt::Display,
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use super::report::Check;
use crate::{
    embedded::{self, LOCK},
    private, secret,
};

const NAME: &str = "data";

const MIB: u64 = 1 << 20;

/// Free space that is low, and that is too low, in MiB.
const LITTLE: u64 = 1_024;
const TOO_LITTLE: u64 = 64;

/// Checks `dir`, which the first start creates.
pub(super) fn examine(dir: &Path) -> Vec<Check> {
    if !dir.exists() {
        let found = format!("{} is not there yet; the first start creates it", dir.display());
        return vec![Check::ok(NAME, found)];
    }
    if let Err(error) = write(dir) {
        return vec![unusable(dir, &error)];
    }
    let written = Check::ok(NAME, format!("{} can be written", dir.display()));
    let looked = [space(dir), lock(dir), permissions(dir)];
    let looked = looked.into_iter().map(|check| check.unwrap_or_else(|error| unusable(dir, &error)));
    [written].into_iter().chain(looked).collect()
}

/// The directory cannot be used, or cannot even be examined.
pub(super) fn unusable(dir: &Path, error: &dyn Display) -> Check {
    let dir = dir.display();
    Check::failure(
        NAME,
        format!("{dir} cannot be used: {error}"),
        format!("chown {dir} to the user that octavo runs as, or set OCTAVO__EMBEDDED__DIR"),
    )
}

/// Creates and removes a file: the one way to know, given access lists, full disks and read-only mounts.
fn write(dir: &Path) -> io::Result<()> {
    let probe = dir.join(format!("octavo.doctor.{}", std::process::id()));
    File::create_new(&probe)?;
    fs::remove_file(&probe)
}

fn space(dir: &Path) -> io::Result<Check> {
    const NAME: &str = "data.space";
    let disk = rustix::fs::statvfs(dir)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize) / MIB;
    let found = format!("{free} MiB are free");
    let advice = format!("free some space: a full disk refuses jobs; {LITTLE} MiB is a good reserve");
    Ok(match free {
        0..TOO_LITTLE => Check::failure(NAME, found, advice),
        TOO_LITTLE..LITTLE => Check::warning(NAME, found, advice),
        _ => Check::ok(NAME, found),
    })
}

/// Whether a service runs on it; either is fine.
fn lock(dir: &Path) -> io::Result<Check> {
    const NAME: &str = "data.lock";
    let lock = match File::open(dir.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Check::ok(NAME, "no service has run on it yet"));
        }
        opened => opened?,
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Check::ok(NAME, "no service runs on it now")),
        Err(TryLockError::WouldBlock) => Ok(Check::ok(NAME, "a service runs on it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The key, and the tokens in the database, are for the owner only.
fn permissions(dir: &Path) -> io::Result<Check> {
    const NAME: &str = "data.permissions";
    let key = dir.join(secret::FILE);
    let mut lax = Vec::new();
    for path in [key.clone()].into_iter().chain(embedded::files(dir)) {
        match private::rights_of_others(&path) {
            Ok(Some(mode)) => lax.push((path, mode)),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if let Some((path, mode)) = lax.first() {
        let found = format!("{} has the mode {mode:o}: other users can access it", path.display());
        let paths: Vec<_> = lax.iter().map(|(path, _)| path.display().to_string()).collect();
        let chmod = format!("chmod 600 {}, as the next start does", paths.join(" "));
        return Ok(if *path == key {
            Check::failure(NAME, found, format!("{chmod}; delete the key if others may have read it"))
        } else {
            Check::warning(NAME, found, chmod)
        });
    }
    Ok(match private::lax_dir(dir)? {
        Some(found) => Check::warning(NAME, found, format!("chmod 700 {}", dir.display())),
        None => Check::ok(NAME, "for its owner only"),
    })
}
