-- Version 4 of a Milepost store: tags, and runs that wait for a time.
-- It only adds: a process that knows no more than an earlier version goes on with its runs, which have neither.

ALTER TABLE runs ADD COLUMN tags TEXT;          -- a JSON array, NULL for none; it never changes
ALTER TABLE runs ADD COLUMN tags_crc INTEGER;
ALTER TABLE runs ADD COLUMN due REAL;           -- when a run that waits goes on by itself
ALTER TABLE runs ADD COLUMN due_mark TEXT;      -- seq:crc, of due; of an earlier record where an earlier version wrote

CREATE TABLE tags (                             -- the same once more, to find runs by them
    tag TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (tag, run)
) WITHOUT ROWID;

CREATE INDEX runs_by_status ON runs (status, created, workflow, parent_run);

CREATE INDEX runs_by_owner ON runs (owner) WHERE owner IS NOT NULL;

CREATE INDEX runs_by_due ON runs (due) WHERE due IS NOT NULL;
