-- The tables of the embedded store. Times are milliseconds since 1970.
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;

-- Jobs that are not done. `state` is waiting, active or dead; a waiting job is taken from `due` on.
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
  UNIQUE (queue, id)
);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (queue, state, due, seq);

CREATE TABLE IF NOT EXISTS outcomes (
  queue    TEXT NOT NULL,
  job      TEXT NOT NULL,
  user     TEXT NOT NULL,
  profile  TEXT NOT NULL,
  expires  INTEGER NOT NULL,
  PRIMARY KEY (queue, job)
);
CREATE INDEX IF NOT EXISTS outcomes_expires ON outcomes (expires);
CREATE INDEX IF NOT EXISTS outcomes_user ON outcomes (user, queue);

-- Named and shaped as the collection of MongoDB.
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
