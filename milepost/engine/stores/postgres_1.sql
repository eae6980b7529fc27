-- Version 1 of a Milepost store in PostgreSQL. Everything is in one schema, which the connection looks in first.
-- Texts are plain JSON; times are seconds since 1970 UTC. To look around: the view `journal`.
-- In every text the characters U+0000 and U+0001, which JSON never has as they are, stand as U+0001 followed by U+0001
-- and U+0002: PostgreSQL has no U+0000.

CREATE TABLE milepost (
    version integer NOT NULL                -- of these tables
);

CREATE TABLE definitions (
    fingerprint text PRIMARY KEY,
    description text NOT NULL
);

CREATE TABLE owners (                       -- who may own runs: one row for each open store, renewed while it lives
    owner       text PRIMARY KEY,
    lease_until double precision NOT NULL   -- by this server's clock, like every time that is compared
);

CREATE TABLE runs (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id       text COLLATE "C" NOT NULL UNIQUE,
    workflow     text NOT NULL,
    version      integer NOT NULL,
    fingerprint  text NOT NULL,
    status       text NOT NULL,
    isolation    text NOT NULL,
    created      double precision NOT NULL,
    updated      double precision NOT NULL,
    seq          bigint NOT NULL,           -- the newest record
    hash         text NOT NULL,             -- of the newest record
    snapshot_seq bigint NOT NULL,           -- the newest record that carries a snapshot, 0 for none
    epoch        bigint NOT NULL,           -- the fencing number: grows with every owner
    owner        text,                      -- who drives the run now
    owned_since  double precision NOT NULL,
    takeovers    integer NOT NULL,          -- owners since the newest record, of this run or of one inside it
    creating     text NOT NULL,             -- the one attempt to create it that did
    inside       bigint NOT NULL,           -- how many records the runs inside it had when that was last looked at
    error        text,
    output       text,
    parent_run   text COLLATE "C",          -- the run that this one is a task of
    parent_task  text,                      -- the key of that task
    forked_from  text COLLATE "C",          -- the run that the first records belong to
    forked_at    bigint NOT NULL            -- the last of them; this run has those after it
) WITH (fillfactor = 70);                   -- room for the row's next version beside it: every commit writes one

CREATE INDEX runs_by_time ON runs (created DESC, run_id);

CREATE INDEX runs_by_parent ON runs (parent_run, number) WHERE parent_run IS NOT NULL;

CREATE INDEX runs_by_fork ON runs (forked_from) WHERE forked_from IS NOT NULL;

CREATE TABLE records (
    run      bigint NOT NULL,               -- the number of the run
    seq      bigint NOT NULL,
    epoch    bigint NOT NULL,               -- of the owner that wrote it
    body     text NOT NULL,                 -- what happened
    content  text NOT NULL,                 -- the values it stores, a JSON array
    hash     text NOT NULL,                 -- covers this record and, by the one before, all before it
    at       double precision NOT NULL,
    snapshot text,                          -- where the run stands after this record, on some records
    PRIMARY KEY (run, seq)
);

CREATE VIEW journal AS
SELECT run_id, records.seq, body, content, records.hash, at, snapshot
FROM runs JOIN records ON records.run = runs.number;

CREATE TABLE openings (
    run   bigint NOT NULL,
    epoch bigint NOT NULL,
    owner text NOT NULL,
    at    double precision NOT NULL,
    PRIMARY KEY (run, epoch)
);

CREATE TABLE inbox (                        -- how anyone who is not the owner speaks to a run
    number  bigint PRIMARY KEY,             -- grows with every message to any run, never used twice
    run_id  text COLLATE "C" NOT NULL,
    id      text COLLATE "C" NOT NULL,
    kind    text NOT NULL,
    payload text NOT NULL,
    by      text,
    at      double precision NOT NULL,
    posting text NOT NULL,                  -- the one attempt to post it that has put it here
    taken   bigint,                         -- the record that took the message in, and has its payload since then
    UNIQUE (run_id, id)
);

CREATE INDEX inbox_waiting ON inbox (number) WHERE taken IS NULL;

CREATE INDEX inbox_waiting_by_run ON inbox (run_id, number) WHERE taken IS NULL;

CREATE TABLE messages (
    number bigint NOT NULL                  -- of the newest: whoever posts locks it, so that numbers appear in order
);

INSERT INTO messages VALUES (0);

CREATE TABLE cache (                        -- results of tasks, for whichever task comes with the same key
    key     text COLLATE "C" PRIMARY KEY,
    value   text NOT NULL,
    expires double precision                -- NULL: never
);

CREATE INDEX cache_by_expiry ON cache (expires) WHERE expires IS NOT NULL;
