-- Version 3 of a Milepost store: checksums, by which damage to the file is told instead of being read as something else,
-- and runs that share their first records with the run that they were forked from.
-- It only adds. A row whose checksum is NULL, or whose mark is of an earlier record, was written by an earlier version.

ALTER TABLE runs ADD COLUMN crc INTEGER;        -- of what never changes in the row
ALTER TABLE runs ADD COLUMN mark TEXT;          -- seq:crc, of what changes with every record

ALTER TABLE records ADD COLUMN crc INTEGER;     -- of seq, hash and at; the hash covers the rest

ALTER TABLE openings ADD COLUMN crc INTEGER;

ALTER TABLE inbox ADD COLUMN crc INTEGER;       -- of a message that waits

ALTER TABLE cache ADD COLUMN crc INTEGER;

ALTER TABLE runs ADD COLUMN forked_from TEXT;   -- the run that the first records belong to
ALTER TABLE runs ADD COLUMN forked_at INTEGER NOT NULL DEFAULT 0;    -- the last of them; this run has those after it

CREATE INDEX runs_by_fork ON runs (forked_from) WHERE forked_from IS NOT NULL;
