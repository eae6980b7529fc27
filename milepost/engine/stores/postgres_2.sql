-- Version 2 of a Milepost store in PostgreSQL: tags, and runs that wait for a time.

ALTER TABLE runs ADD COLUMN tags text[] NOT NULL DEFAULT '{}';     -- they never change
ALTER TABLE runs ADD COLUMN due double precision;                  -- when a run that waits goes on by itself

CREATE INDEX runs_by_tag ON runs USING gin (tags);

CREATE INDEX runs_unfinished ON runs (status, due) WHERE status IN ('running', 'waiting');
