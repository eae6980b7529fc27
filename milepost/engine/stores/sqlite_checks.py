"""Checksums of what a SqliteStore holds: a file that was damaged must not be read as something else."""

from __future__ import annotations

from typing import Final
from zlib import crc32

from milepost.engine.errors import DamagedStore
from milepost.engine.stores.store import Message, RunRow

Part = str | int | float | None

MISMATCH: Final = "it does not match its checksum"


def crc_of(*parts: Part) -> int:
    """Return the CRC-32 of some columns, in their order: it differs when up to 32 bits next to one another differ.

    A time is to be given as a float, as the file gives it back.

    >>> crc_of("claim-17", 2) == crc_of("claim-17", 3)
    False
    """
    return crc32("\0".join([part if type(part) is str else repr(part) for part in parts]).encode())


def fixed_crc(row: RunRow) -> int:
    """Return the checksum of what never changes in the row of a run."""
    return crc_of(
        *(row.run_id, row.workflow, row.version, row.isolation, float(row.created), row.parent_run, row.parent_task),
        *(row.forked_from, row.forked_at),
    )


def mark_of(run_id: str, seq: int, digest: str, status: str, at: float, error: str | None, output: str | None) -> str:
    """Return the mark of what changes in the row of a run with every record."""
    # In one go, unlike `crc_of`: this and the next one are worked out for every commit.
    return f"{seq}:{crc32(f'{run_id}{seq}{digest}{status}{float(at)!r}{error}{output}'.encode())}"


def due_mark_of(run_id: str, seq: int, due: float | None) -> str | None:
    """Return the mark of when a run goes on by itself, as its record of this number says; None for no time."""
    return None if due is None else f"{seq}:{crc_of(run_id, seq, float(due))}"


def tags_crc(run_id: str, tags: str | None) -> int | None:
    """Return the checksum of the tags of a run, which are JSON text; None for none."""
    return None if tags is None else crc_of(run_id, tags)


def record_crc(seq: int, digest: str, at: float) -> int:
    """Return the checksum of what the hash of a record does not cover."""
    return crc32(f"{seq}{digest}{float(at)!r}".encode())


def opening_crc(run_id: str, epoch: int, owner: str, at: float) -> int:
    """Return the checksum of an opening."""
    return crc_of(run_id, epoch, owner, float(at))


def message_crc(message: Message) -> int:
    """Return the checksum of a message, whatever its number."""
    return crc_of(
        *(message.run_id, message.id, message.kind, message.payload, message.by, float(message.at)),
    )


def result_crc(key: str, value: str, expires: float | None) -> int:
    """Return the checksum of a result that is kept."""
    return crc_of(key, value, None if expires is None else float(expires))


def check(what: str, stored: object, crc: int) -> None:
    """Compare a checksum, None where an earlier version wrote none. Raises DamagedStore. what: e.g. "run 'a'"."""
    if stored is not None and stored != crc:
        raise DamagedStore(what, MISMATCH)
