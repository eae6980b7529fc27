-- Version 1 of a Milepost store. Texts are plain JSON; times are seconds since 1970 UTC. To look around: the view `journal`.

CREATE TABLE runs (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,     -- the run's short name in this file, never used twice
    run_id       TEXT NOT NULL UNIQUE,
    workflow     TEXT NOT NULL,
    version      INTEGER NOT NULL,
    fingerprint  TEXT NOT NULL REFERENCES definitions (fingerprint),
    status       TEXT NOT NULL,
    isolation    TEXT NOT NULL,
    created      REAL NOT NULL,
    updated      REAL NOT NULL,
    seq          INTEGER NOT NULL,      -- the newest record
    hash         TEXT NOT NULL,         -- of the newest record
    snapshot_seq INTEGER NOT NULL,      -- the newest record that carries a snapshot, 0 for none
    epoch        INTEGER NOT NULL,      -- the fencing number: grows with every owner
    owner        TEXT,                  -- who drives the run now
    lock_file    TEXT,                  -- free as soon as the owner is dead
    lease_until  REAL NOT NULL,
    takeovers    INTEGER NOT NULL,      -- owners since the newest record
    error        TEXT,
    output       TEXT
);

CREATE INDEX runs_by_time ON runs (created);

CREATE TABLE records (
    run      INTEGER NOT NULL,          -- the number of the run: a short key makes small pages to write with each commit
    seq      INTEGER NOT NULL,
    body     TEXT NOT NULL,             -- what happened
    content  TEXT NOT NULL,             -- the values it stores, a JSON array
    hash     TEXT NOT NULL,             -- covers this record and, by the one before, all before it
    at       REAL NOT NULL,
    snapshot TEXT,                      -- where the run stands after this record, on some records
    PRIMARY KEY (run, seq)
);                                      -- with rowid, so that rows are only ever appended, whichever run they are of

CREATE VIEW journal AS
SELECT run_id, records.seq AS seq, body, content, records.hash AS hash, at, snapshot
FROM runs JOIN records ON run = number;

CREATE TABLE openings (
    run_id TEXT NOT NULL,
    epoch  INTEGER NOT NULL,
    owner  TEXT NOT NULL,
    at     REAL NOT NULL,
    PRIMARY KEY (run_id, epoch)
) WITHOUT ROWID;

CREATE TABLE inbox (                    -- how anyone who is not the owner speaks to a run
    run_id  TEXT NOT NULL,
    id      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    payload TEXT NOT NULL,
    by      TEXT,
    at      REAL NOT NULL,
    PRIMARY KEY (run_id, id)
) WITHOUT ROWID;

CREATE TABLE definitions (
    fingerprint TEXT PRIMARY KEY,
    description TEXT NOT NULL
) WITHOUT ROWID;
