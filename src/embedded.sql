-- The tables of the embedded store. Times are milliseconds since 1970.
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;

-- Jobs that are not done. `state` is waiting, active or dead; a waiting job can be claimed from `due` on. `claimed` is when
-- it was last claimed, `error` what its previous attempt failed with; a dead letter has its `reason` and its serial, `died`:
-- when it died, in microseconds, or one more than the last serial. `user` is whose quotas it counts for.
CREATE TABLE IF NOT EXISTS jobs (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  queue        TEXT NOT NULL,
  id           TEXT NOT NULL,
  data         BLOB NOT NULL,
  state        TEXT NOT NULL DEFAULT 'waiting',
  created      INTEGER NOT NULL,
  due          INTEGER NOT NULL,
  attempts     INTEGER NOT NULL DEFAULT 0,
  crashes      INTEGER NOT NULL DEFAULT 0,
  claimed      INTEGER NOT NULL DEFAULT 0,
  lease        TEXT,
  lease_until  INTEGER,
  reason       TEXT,
  error        TEXT,
  died         INTEGER,
  user         TEXT,
  UNIQUE (queue, id)
);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (queue, state, due, seq);

-- The log of outcomes, one for each user. `seq` is the time in microseconds, or one more than the user's last.
CREATE TABLE IF NOT EXISTS log (
  user     TEXT NOT NULL,
  seq      INTEGER NOT NULL,
  queue    TEXT NOT NULL,
  job      TEXT NOT NULL,
  profile  TEXT NOT NULL,
  heard    INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user, seq)
);
CREATE INDEX IF NOT EXISTS log_job ON log (queue, job);
CREATE INDEX IF NOT EXISTS log_seq ON log (seq);
CREATE INDEX IF NOT EXISTS log_unheard ON log (user, queue, seq) WHERE heard = 0;

-- One row for each log: `last` is the seq of its last outcome, `floor` that of the last one that was dropped.
CREATE TABLE IF NOT EXISTS log_state (
  user     TEXT PRIMARY KEY,
  epoch    TEXT NOT NULL,
  last     INTEGER NOT NULL,
  floor    INTEGER NOT NULL DEFAULT 0,
  bytes    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS log_state_last ON log_state (last);
DROP TABLE IF EXISTS outcomes;

-- What counts for one user: its jobs that wait or run, and their bytes; when its buckets of jobs and of idempotency keys are
-- full again, in microseconds.
CREATE TABLE IF NOT EXISTS quotas (
  user   TEXT PRIMARY KEY,
  jobs   INTEGER NOT NULL,
  bytes  INTEGER NOT NULL,
  rate   INTEGER NOT NULL,
  keys   INTEGER NOT NULL
);

-- Keys that stand for a job, so that requesting it twice makes one job; see src/queue/once.rs.
CREATE TABLE IF NOT EXISTS idempotency_keys (
  name         TEXT PRIMARY KEY,
  fingerprint  TEXT NOT NULL,
  job          TEXT NOT NULL,
  expires      INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS idempotency_keys_expires ON idempotency_keys (expires);

-- Named and shaped like the collection in MongoDB.
CREATE TABLE IF NOT EXISTS Characters (
  _id          TEXT PRIMARY KEY,
  Name         TEXT NOT NULL,
  Description  TEXT NOT NULL,
  Image        TEXT NOT NULL,
  Image_Real   TEXT NOT NULL,
  User_Id      TEXT NOT NULL,
  createdAt    INTEGER NOT NULL,
  updatedAt    INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS characters_newest ON Characters (User_Id, createdAt DESC, _id DESC);

-- Jobs whose effect has happened: updates, deletes, and the creates of what was later deleted.
CREATE TABLE IF NOT EXISTS effects (
  job      BLOB PRIMARY KEY,
  expires  INTEGER NOT NULL
);
