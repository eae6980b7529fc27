-- Version 5 of a Milepost store: a record is one row of one table, so that a commit writes one page, and most records
-- leave the row of their run as it is.
-- A process that knows no more than an earlier version cannot go on: what it asks of `records` is refused.
--
-- What the row of a run says from now on: seq, hash and updated are of the newest record that changed anything else in
-- the row, be it its status, error, output, due, fingerprint or snapshot_seq, or of the newest one at all when the run
-- was acquired or released, whichever came last. So of a run that somebody owns, or whose owner was killed, newer
-- records may follow, all of which left it running: the newest of them is where it stands. Of every other run the row
-- names the newest record.

DROP VIEW journal;

ALTER TABLE records RENAME TO records_of_version_4;

CREATE TABLE records (                  -- the long columns last: those before them are found without reading those
    place    INTEGER PRIMARY KEY,       -- run * 4294967296 + seq: the number of the run, and that of the record in it
    hash     TEXT NOT NULL,             -- covers this record and, by the one before, all before it
    at       REAL NOT NULL,
    crc      INTEGER,                   -- of seq, hash and at; the hash covers the rest
    snapshot TEXT,                      -- where the run stands after this record, on some records
    body     TEXT NOT NULL,             -- what happened
    content  TEXT NOT NULL              -- the values it stores, a JSON array
);

INSERT INTO records (place, body, content, hash, at, snapshot, crc)
SELECT run << 32 | seq, body, content, hash, at, snapshot, crc FROM records_of_version_4 ORDER BY run, seq;

DROP TABLE records_of_version_4;

CREATE VIEW journal AS
SELECT run_id, place & 4294967295 AS seq, body, content, records.hash AS hash, at, snapshot
FROM runs JOIN records ON place BETWEEN number << 32 AND number << 32 | 4294967295;
