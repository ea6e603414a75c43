//! The single local file of the embedded mode: an SQLite database that queue, outcomes and characters share.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;

use crate::private;

/// The file in the data directory that the process using it has locked.
pub const LOCK: &str = "octavo.lock";

/// The database, and the files that SQLite puts beside it, with its mode.
const DATABASE: &str = "octavo.db";
const BESIDE: [&str; 3] = ["octavo.db-wal", "octavo.db-shm", "octavo.db-journal"];

const SCHEMA: &str = include_str!("embedded.sql");

/// The open file; clones share it. Only one process at a time holds a data directory.
#[derive(Clone)]
pub struct Embedded {
    connection: Arc<Mutex<Connection>>,
    _lock: Arc<File>,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be created or written.
    #[error("the data directory {0} cannot be used: {1}")]
    Directory(PathBuf, #[source] io::Error),
    /// Another process holds it.
    #[error("the data directory {0} is in use by another octavo; stop it, or set OCTAVO__EMBEDDED__DIR")]
    InUse(PathBuf),
    /// The database cannot be opened.
    #[error("the database in {0} cannot be opened: {1}")]
    Database(PathBuf, #[source] rusqlite::Error),
}

/// Why an operation on the file failed: a full disk, for example.
#[derive(Debug, thiserror::Error)]
#[error("the embedded store failed: {0}")]
pub struct EmbeddedError(#[from] rusqlite::Error);

impl Embedded {
    /// Opens, or creates, the database in `dir`.
    ///
    /// # Errors
    /// When the directory cannot be used, or is in use.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let unusable = |error| OpenError::Directory(dir.to_owned(), error);
        private::make_dir(dir).map_err(unusable)?;
        if let Some(lax) = private::lax_dir(dir).map_err(unusable)? {
            tracing::warn!("{lax}; chmod 700 {}", dir.display());
        }
        let lock = private::open(&dir.join(LOCK)).map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse(dir.to_owned()),
            TryLockError::Error(error) => unusable(error),
        })?;
        for path in files(dir) {
            private::close(&path);
        }
        let path = dir.join(DATABASE);
        // SQLite would create it for everybody.
        private::open(&path).map_err(unusable)?;
        let connection = database(&path).map_err(|error| OpenError::Database(dir.to_owned(), error))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), _lock: Arc::new(lock) })
    }

    /// Runs `work` in a transaction, off the async threads.
    ///
    /// # Errors
    /// SQLite's error; nothing that `work` did is kept then.
    pub async fn transaction<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, EmbeddedError> {
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            // A panic in earlier work rolled its transaction back: the connection is sound.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction()?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        match done.await {
            Ok(result) => result,
            Err(panic) => Err(EmbeddedError(rusqlite::Error::ToSqlConversionFailure(panic.into()))),
        }
    }
}

/// The files in the data directory `dir`, except the key.
#[must_use]
pub fn files(dir: &Path) -> Vec<PathBuf> {
    [LOCK, DATABASE].iter().chain(&BESIDE).map(|name| dir.join(name)).collect()
}

fn database(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch(SCHEMA)?;
    add_columns(&connection)?;
    Ok(connection)
}

/// Upgrades a database of an earlier version to [`SCHEMA`]; its dead letters count as having died now.
fn add_columns(connection: &Connection) -> rusqlite::Result<()> {
    for column in ["error TEXT", "died INTEGER"] {
        let name = column.split(' ').next();
        let known = "SELECT count(*) FROM pragma_table_info('jobs') WHERE name = ?";
        if connection.query_row(known, [name], |row| row.get::<_, i64>(0))? == 0 {
            connection.execute_batch(&format!("ALTER TABLE jobs ADD COLUMN {column}"))?;
        }
    }
    connection.execute_batch(
        "CREATE UNIQUE INDEX IF NOT EXISTS jobs_died ON jobs (died) WHERE died IS NOT NULL;
        CREATE INDEX IF NOT EXISTS jobs_letters ON jobs (queue, died) WHERE died IS NOT NULL;
        UPDATE jobs SET died = unixepoch() * 1000000 + seq WHERE state = 'dead' AND died IS NULL;",
    )
}
