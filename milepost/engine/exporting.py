"""A run as lines of JSON, with the runs inside it: to be kept, looked at, or moved to another store.

Every line begins with a checksum over itself and all lines before it, so that damage is told by its line.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from typing import Final

from milepost.engine.errors import BrokenJournal, DamagedStore, UnknownRun
from milepost.engine.following import similar_runs
from milepost.engine.reading import check_next, read_record
from milepost.engine.stores.store import RunRow, Store, StoredRecord

FORMAT: Final = 1
"""The version of these lines."""
BATCH: Final = 200
"""How many records are read at once."""

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


class Lines:
    """Writes lines, each with a checksum. count: of those written."""

    def __init__(self) -> None:
        self.count = 0
        self._before = ""

    def line(self, kind: str, value: object) -> str:
        """Return one line, without its end. kind: what it is. value: plain JSON."""
        rest = f"{json.dumps(kind)}:{json.dumps(value, allow_nan=False, separators=(',', ':'))}}}"
        self._before = check_of(self._before, rest)
        self.count += 1
        return f'{{"check":"{self._before}",{rest}'


def check_of(before: str, rest: str) -> str:
    """Return the checksum of a line, 16 hexadecimal digits. before: that of the line before it. rest: what follows."""
    return blake2b(f"{before}{rest}".encode(), digest_size=8).hexdigest()


async def exported(store: Store, run_id: str) -> AsyncIterator[str]:
    """Give a run as lines, and then each run inside it. Holds a few records at a time.

    A fork is given with the records that it shares, as a run of its own.
    Raises UnknownRun, BrokenJournal, StoreError.
    """
    lines = Lines()
    rows = await _family(store, run_id)
    yield lines.line("milepost export", {"format": FORMAT, "runs": [row.run_id for row in rows]})
    defined: set[str] = set()
    for row in rows:
        if row.fingerprint not in defined:
            yield lines.line("definition", await _definition(store, row, row.fingerprint, defined))
        yield lines.line("run", asdict(row) | {"owner": None, "forked_from": None, "forked_at": 0})
        openings = await store.openings(row.run_id)
        for opening in openings[: row.epoch]:
            yield lines.line("opening", opening._asdict())
        for message, taken in await store.posted(row.run_id):
            yield lines.line("message", message._asdict() | {"taken": taken})
        seq, before = 0, ""
        while seq < row.seq:
            records = await store.records(row.run_id, after=seq, limit=min(BATCH, row.seq - seq))
            if not records:
                raise BrokenJournal(row.run_id, seq + 1, "it is missing")
            for record in records:
                check_next(row.run_id, before, seq + 1, record)
                seq, before = record.seq, record.hash
                followed = followed_from(row.run_id, record)
                if followed is not None and followed not in defined:
                    yield lines.line("definition", await _definition(store, row, followed, defined))
                yield lines.line("record", record._asdict())
    yield lines.line("end", {"lines": lines.count + 1})


def followed_from(run_id: str, record: StoredRecord) -> str | None:
    """Return the fingerprint of the definition that a run follows from a record on, None where it says nothing."""
    if '"revision"' not in record.body:  # few do, and reading all of them would take long
        return None
    revision = read_record(run_id, record).revision
    return None if revision is None else revision.definition


async def _definition(store: Store, row: RunRow, fingerprint: str, defined: set[str]) -> Json:
    """Return the line of a definition that a run follows or has followed; it counts as defined from now on."""
    text = await store.definition(fingerprint)
    if text is None:
        raise DamagedStore(f"a definition of the workflow of run {row.run_id!r}", "it is missing")
    defined.add(fingerprint)
    return {"fingerprint": fingerprint, "description": text}


async def _family(store: Store, run_id: str) -> list[RunRow]:
    """Return the row of a run, and of all runs inside it."""
    row = await store.row(run_id)
    if row is None:
        raise UnknownRun(run_id, await similar_runs(store, run_id))
    rows = [row]
    for each in rows:  # it grows meanwhile
        rows.extend(await store.children(each.run_id))
    return rows
