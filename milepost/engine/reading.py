"""Reading what a store holds of a run, and saying what is wrong with it where it cannot be read."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

from milepost.engine.definition import Definition
from milepost.engine.errors import BrokenJournal, DamagedStore, ForeignStore, StoreError, WrongKey
from milepost.engine.journal import Kind, Record, apply
from milepost.engine.journal_text import chained, from_text
from milepost.engine.position import Position
from milepost.engine.snapshots import snapshot_from_text
from milepost.engine.stores.store import RunRow, Store, StoredRecord

OPS: Final = frozenset(
    {"spawn", "each", "stream", "end of stream", "open", "item", "fire", "cancel", "finish"},
)
"""The names of the ops that this version knows."""

ENDS_WRONGLY: Final = "the journal does not end where the run says it does"

FAULTS: Final = (ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError, RecursionError)
"""What reading something raises that was not written like this."""


def read_record(run_id: str, stored: StoredRecord) -> Record:
    """Read a record. Raises BrokenJournal; ForeignStore: a newer Milepost wrote it. WrongKey: it is encrypted."""
    try:
        record = from_text(stored.seq, stored.body, stored.content)
    except FAULTS as error:
        raise unreadable(run_id, stored.seq, stored.body, error) from error
    record.at = stored.at
    return record


def unreadable(run_id: str, seq: int, body: str, error: Exception) -> StoreError:
    """Return what to raise for a record that cannot be read. body: its text."""
    from milepost.engine.stores.cipher import is_sealed

    if is_sealed(body):
        return WrongKey(
            f"Checkpoint {seq} of run {run_id!r} is encrypted. Give the key that it was encrypted with, e.g. in "
            "MILEPOST_KEY. Nothing was changed."
        )
    word = unknown_word(body)
    if word is not None:
        return ForeignStore(
            f"Checkpoint {seq} of run {run_id!r} was written by a newer Milepost: it says {word!r}, which this one "
            "does not know. Upgrade Milepost. Nothing was changed."
        )
    return BrokenJournal(run_id, seq, f"it cannot be read ({error!r})")


def unknown_word(body: str) -> str | None:
    """Return the kind or the first op of a record's body that this version does not know, None for none."""
    from pydantic_core import from_json

    try:
        given: dict[str, Any] = from_json(body)
        kind, ops = given["kind"], given.get("ops", ())
        names = [op[0] for op in ops]
    except FAULTS:
        return None
    if isinstance(kind, str) and kind not in set(Kind):
        return kind
    return next((name for name in names if isinstance(name, str) and name not in OPS), None)


def check_next(run_id: str, before: str, expected: int, stored: StoredRecord) -> None:
    """Check that a record is the next one. before: the hash of the one in front of it. Raises BrokenJournal."""
    if stored.seq != expected:
        raise BrokenJournal(run_id, expected, "it is missing")
    if chained(before, stored.seq, stored.body, stored.content, stored.snapshot) != stored.hash:
        from milepost.engine.stores.cipher import is_sealed

        error = BrokenJournal(run_id, stored.seq, "its contents do not match its hash")
        raise unreadable(run_id, stored.seq, stored.body, error) if is_sealed(stored.body) else error


def read_snapshot(run_id: str, stored: StoredRecord) -> Position:
    """Read the snapshot that lies beside a record. Raises BrokenJournal."""
    if stored.snapshot is None:
        raise BrokenJournal(run_id, stored.seq, "its snapshot is missing")
    try:
        return snapshot_from_text(stored.snapshot)
    except FAULTS as error:
        raise BrokenJournal(run_id, stored.seq, f"its snapshot cannot be read ({error!r})") from error


def go_on(run_id: str, position: Position, record: Record) -> None:
    """Apply a record. Raises BrokenJournal when it does not fit where the run stood."""
    try:
        apply(position, record)
    except FAULTS as error:
        raise BrokenJournal(run_id, record.seq, f"it does not fit what came before it ({error!r})") from error


async def read_first(store: Store, run_id: str) -> Record:
    """Return the first record of a run. Raises BrokenJournal, StoreError."""
    stored = await store.record(run_id, 1)
    if stored is None:
        raise BrokenJournal(run_id, 1, "it is missing")
    check_next(run_id, "", 1, stored)
    return read_record(run_id, stored)


async def read_followed(store: Store, row: RunRow, position: Position, newest: Definition) -> Definition:
    """Return the definition that a run follows at a position. newest: one at hand, which most runs follow.

    Raises DamagedStore, StoreError.
    """
    fingerprint = position.definition or row.fingerprint
    return newest if fingerprint == newest.fingerprint else await read_definition(store, row.run_id, fingerprint)


async def read_definition(store: Store, run_id: str, fingerprint: str) -> Definition:
    """Return the definition that a run follows. Raises DamagedStore, StoreError."""
    text = await store.definition(fingerprint)
    what = f"the definition of the workflow of run {run_id!r}"
    if text is None:
        raise DamagedStore(what, "it is missing")
    if not has_fingerprint(text, fingerprint):
        raise DamagedStore(what, "it does not match its fingerprint")
    return Definition.from_json(text)


def has_fingerprint(text: str, fingerprint: str) -> bool:
    """Tell whether a definition is the one of this fingerprint. It is of the text: a newer Milepost may say more."""
    return blake2b(text.encode(), digest_size=16).hexdigest() == fingerprint
