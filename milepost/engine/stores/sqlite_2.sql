-- Version 2 of a Milepost store: runs inside runs, an inbox with an order, and results that later tasks may use again.
-- It only adds: a process that knows no more than version 1 goes on with its runs while another one brings the file here.

ALTER TABLE runs ADD COLUMN parent_run TEXT;        -- the run that this one is a task of
ALTER TABLE runs ADD COLUMN parent_task TEXT;       -- the key of that task

CREATE INDEX runs_by_parent ON runs (parent_run) WHERE parent_run IS NOT NULL;

ALTER TABLE inbox RENAME TO inbox_of_version_1;

CREATE TABLE inbox (                    -- how anyone who is not the owner speaks to a run
    number  INTEGER PRIMARY KEY AUTOINCREMENT,      -- grows with every message to any run, never used twice
    run_id  TEXT NOT NULL,
    id      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    payload TEXT NOT NULL,
    by      TEXT,
    at      REAL NOT NULL,
    taken   INTEGER,                    -- the record that took the message in, and has its payload since then
    UNIQUE (run_id, id)
);

CREATE INDEX inbox_waiting ON inbox (number) WHERE taken IS NULL;

CREATE INDEX inbox_waiting_by_run ON inbox (run_id) WHERE taken IS NULL;

INSERT INTO inbox (run_id, id, kind, payload, by, at)
SELECT run_id, id, kind, payload, by, at FROM inbox_of_version_1 ORDER BY at, run_id, id;

DROP TABLE inbox_of_version_1;

CREATE TABLE cache (                    -- results of tasks, for whichever task comes with the same key
    key     TEXT PRIMARY KEY,
    value   TEXT NOT NULL,
    expires REAL                        -- NULL: never
);

CREATE INDEX cache_by_expiry ON cache (expires) WHERE expires IS NOT NULL;
