"""Encrypted: any store, whose texts only those can read who have the key.

What is encrypted: the body, values, snapshot and hash of every record, the error, output and hash of a run's row, the
payload and sender of messages, and the results in the cache with their keys. What is not: the ids of runs, the names of
workflows and their definitions, which are code and no data; tags, times, statuses, numbers and who owned a run. So runs
are listed and found as ever.

The hash chain covers what is encrypted, not its cipher: so a key can be changed without forging a chain, and no hash
gives away what could be guessed. Each cipher vouches for itself and for its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from milepost.engine.errors import InputError, WrongKey
from milepost.engine.stores.cipher import VARIABLE, KeyRing, keys_from
from milepost.engine.stores.store import (
    Acknowledge,
    CacheEntry,
    Entry,
    Leftovers,
    Message,
    NewRun,
    Notice,
    Opening,
    Posted,
    RunRow,
    Store,
    StoredRecord,
    Weight,
    WholeRun,
)
from milepost.engine.trace import RunStatus

MARK: Final = "encrypted"
"""What the text is kept under, among the definitions, that says that a store is encrypted, and with which key first."""

_CACHE: Final = "cache"


@dataclass(frozen=True, slots=True)
class Rotated:
    """What `Encrypted.rotate` did. runs: encrypted anew. kept: ids of runs that somebody drives, as before."""

    runs: int
    kept: tuple[str, ...]


class Encrypted:
    """Any store, encrypted. A store that holds runs in plain text goes on holding them until it is rotated.

    store: where it all lies. keys: 32 bytes each, the newest first, which encrypts; the others only decrypt. None: what
    the environment variable MILEPOST_KEY says, in base64, separated by commas.
    Raises InputError: there is no key, or one is not 32 bytes. StoreError: the package cryptography is not installed.
    """

    def __init__(self, store: Store, keys: Sequence[bytes] | None = None) -> None:
        if isinstance(store, Encrypted):
            raise InputError(
                "This store is encrypted already. Give all keys at once: Encrypted(store, [newest, older])."
            )
        self.store = store
        self._ring = KeyRing(keys_from(os.environ.get(VARIABLE, "")) if keys is None else keys)
        self._is_marked = False

    async def open(self) -> None:
        await self.store.open()
        try:
            await self._check_keys()
        except BaseException:
            await self.store.close()
            raise

    async def _check_keys(self) -> None:
        """Check that one of the keys is one of the store's. Raises WrongKey."""
        names = [key.name for key in self._ring.keys]
        known = [name for name in names if await self.store.definition(f"{MARK} {name}") is not None]
        if not known and await self.store.definition(MARK) is not None:
            raise WrongKey(
                f"The store is encrypted with another key than what was given ({', '.join(names)}). Give the one that "
                f"it was encrypted with, e.g. in {VARIABLE}. Nothing was changed."
            )

    async def _remember_key(self) -> None:
        """Say in the store that it is encrypted, and with which key, before anything is."""
        if not self._is_marked:
            name = self._ring.newest.name
            await self.store.define(f"{MARK} {name}", json.dumps({"key": name}))
            await self.store.define(MARK, json.dumps({"cipher": "AES-256-GCM"}))
            self._is_marked = True

    async def close(self) -> None:
        await self.store.close()

    # --- writing -----------------------------------------------------------------------------------------------------

    async def create(self, run: NewRun, first: Entry) -> bool:
        await self._remember_key()
        return await self.store.create(run, self._sealed_entry(first))

    async def acquire(self, run_id: str) -> RunRow:
        await self._remember_key()
        return self._opened_row(await self.store.acquire(run_id))

    async def release(self, run_id: str, epoch: int) -> None:
        await self.store.release(run_id, epoch)

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        self.store.append(self._sealed_entry(entry), acknowledge)

    def _sealed_entry(self, entry: Entry) -> Entry:
        record = self._sealed_record(
            entry.run_id,
            StoredRecord(entry.seq, entry.body, entry.content, entry.hash, entry.at, entry.snapshot),
        )
        return entry._replace(
            body=record.body,
            content=record.content,
            hash=record.hash,
            snapshot=record.snapshot,
            error=self._sealed(entry.run_id, entry.seq, "error", entry.error),
            output=self._sealed(entry.run_id, entry.seq, "output", entry.output),
            cache=None if entry.cache is None else self._sealed_result(entry.cache),
        )

    def _sealed_record(self, run_id: str, record: StoredRecord) -> StoredRecord:
        seq = record.seq
        return record._replace(
            body=self._ring.seal(run_id, f"body {seq}", record.body),
            content=self._ring.seal(run_id, f"content {seq}", record.content),
            hash=self._ring.seal(run_id, f"hash {seq}", record.hash),
            snapshot=self._sealed(run_id, seq, "snapshot", record.snapshot),
        )

    def _sealed(self, run_id: str, seq: int, place: str, text: str | None) -> str | None:
        return None if text is None else self._ring.seal(run_id, f"{place} {seq}", text)

    def _sealed_result(self, result: CacheEntry) -> CacheEntry:
        key = self._ring.newest.hidden(result.key)
        return CacheEntry(key, self._ring.seal(_CACHE, key, result.value), result.expires)

    async def define(self, fingerprint: str, text: str) -> None:
        await self.store.define(fingerprint, text)

    async def post(self, message: Message) -> bool:
        await self._remember_key()
        return await self.store.post(self._sealed_message(message))

    def _sealed_message(self, message: Message, taken: int | None = None) -> Message:
        place = f"message {message.id}"
        return message._replace(
            payload=self._ring.seal(message.run_id, place, message.payload) if taken is None else "",
            by=None if message.by is None else self._ring.seal(message.run_id, f"sender of {place}", message.by),
        )

    # --- reading -----------------------------------------------------------------------------------------------------

    def _opened(self, run_id: str, seq: int, place: str, text: str | None) -> str | None:
        return None if text is None else self._ring.open(run_id, f"{place} {seq}", text)

    def _opened_row(self, row: RunRow) -> RunRow:
        return replace(
            row,
            hash=self._ring.open(row.run_id, f"hash {row.seq}", row.hash),
            error=self._opened(row.run_id, row.seq, "error", row.error),
            output=self._opened(row.run_id, row.seq, "output", row.output),
        )

    def _opened_record(self, run_id: str, record: StoredRecord) -> StoredRecord:
        seq = record.seq
        return record._replace(
            body=self._ring.open(run_id, f"body {seq}", record.body),
            content=self._ring.open(run_id, f"content {seq}", record.content),
            hash=self._ring.open(run_id, f"hash {seq}", record.hash),
            snapshot=self._opened(run_id, seq, "snapshot", record.snapshot),
        )

    def _opened_message(self, message: Message) -> Message:
        place = f"message {message.id}"
        return message._replace(
            payload=self._ring.open(message.run_id, place, message.payload),
            by=None if message.by is None else self._ring.open(message.run_id, f"sender of {place}", message.by),
        )

    async def row(self, run_id: str) -> RunRow | None:
        row = await self.store.row(run_id)
        return None if row is None else self._opened_row(row)

    async def rows(
        self,
        *,
        prefix: str = "",
        status: RunStatus | None = None,
        workflow: str | None = None,
        tag: str | None = None,
        since: float | None = None,
        nested: bool = True,
        limit: int | None = None,
        before: RunRow | None = None,
    ) -> Sequence[RunRow]:
        found = await self.store.rows(
            prefix=prefix,
            status=status,
            workflow=workflow,
            tag=tag,
            since=since,
            nested=nested,
            limit=limit,
            before=before,
        )
        return [self._opened_row(row) for row in found]

    async def counts(
        self, *, workflow: str | None = None, tag: str | None = None, since: float | None = None, nested: bool = False
    ) -> Mapping[RunStatus, int]:
        return await self.store.counts(workflow=workflow, tag=tag, since=since, nested=nested)

    async def ready(self, now: float, workflows: Collection[str], *, limit: int) -> Sequence[RunRow]:
        return [self._opened_row(row) for row in await self.store.ready(now, workflows, limit=limit)]

    async def alive(self) -> Collection[str]:
        return await self.store.alive()

    async def children(self, run_id: str, *, status: RunStatus | None = None) -> Sequence[RunRow]:
        return [self._opened_row(row) for row in await self.store.children(run_id, status=status)]

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        found = await self.store.records(run_id, after=after, limit=limit)
        owners = await self._owners(run_id, after + 1)
        return [self._opened_record(owner_of(owners, one.seq), one) for one in found]

    async def record(self, run_id: str, seq: int) -> StoredRecord | None:
        found = await self.store.record(run_id, seq)
        return None if found is None else self._opened_record((await self._owners(run_id, seq))[-1][0], found)

    async def snapshot_seq(self, run_id: str, until: int) -> int:
        return await self.store.snapshot_seq(run_id, until)

    async def _owners(self, run_id: str, seq: int) -> list[tuple[str, int]]:
        """Return whose the records of a run are, back to this one: each run, and the last number before its own."""
        owners: list[tuple[str, int]] = []
        row = await self.store.row(run_id)
        while row is not None:
            owners.append((row.run_id, row.forked_at))
            row = None if row.forked_from is None or seq > row.forked_at else await self.store.row(row.forked_from)
        return owners or [(run_id, 0)]

    async def openings(self, run_id: str) -> Sequence[Opening]:
        return await self.store.openings(run_id)

    async def definition(self, fingerprint: str) -> str | None:
        return await self.store.definition(fingerprint)

    async def cached(self, key: str, now: float) -> str | None:
        for each in self._ring.keys:
            hidden = each.hidden(key)
            found = await self.store.cached(hidden, now)
            if found is not None:
                return self._ring.open(_CACHE, hidden, found)
        return await self.store.cached(key, now)  # from before the store was encrypted

    async def inbox(self, run_id: str) -> Sequence[Message]:
        return [self._opened_message(message) for message in await self.store.inbox(run_id)]

    async def news(self, after: int) -> Sequence[Notice]:
        return await self.store.news(after)

    # --- looking after it --------------------------------------------------------------------------------------------

    async def posted(self, run_id: str) -> Sequence[Posted]:
        return [Posted(self._opened_message(message), taken) for message, taken in await self.store.posted(run_id)]

    async def weigh(self, run_ids: Sequence[str]) -> Weight:
        return await self.store.weigh(run_ids)

    async def delete(self, rows: Sequence[RunRow]) -> bool:
        return await self.store.delete(rows)

    async def insert(self, runs: Sequence[WholeRun]) -> bool:
        await self._remember_key()
        return await self.store.insert([self._sealed_run(run) for run in runs])

    async def rewrite(self, run: WholeRun) -> bool:
        await self._remember_key()
        return await self.store.rewrite(self._sealed_run(run))

    def _sealed_run(self, run: WholeRun) -> WholeRun:
        row = run.row
        records = [self._sealed_record(row.run_id, record) for record in run.records]
        # The same cipher as in the record, which a store may compare with it; each time it would be another one.
        digest = next((record.hash for record in records if record.seq == row.seq), None)
        return replace(
            run,
            row=replace(
                row,
                hash=self._ring.seal(row.run_id, f"hash {row.seq}", row.hash) if digest is None else digest,
                error=self._sealed(row.run_id, row.seq, "error", row.error),
                output=self._sealed(row.run_id, row.seq, "output", row.output),
            ),
            records=records,
            messages=[Posted(self._sealed_message(message, taken), taken) for message, taken in run.messages],
        )

    async def sweep(self, now: float | None, *, dry_run: bool = False) -> Leftovers:
        return await self.store.sweep(now, dry_run=dry_run)

    async def compact(self) -> int:
        return await self.store.compact()

    async def check(self) -> Sequence[str]:
        return await self.store.check()

    async def rotate(self) -> Rotated:
        """Encrypt everything with the newest key that is not, be it plain or encrypted with an older one.

        Runs that somebody drives are left as they are: rotate again when they have ended. Results in the cache are
        removed, to be made again, and so are messages to runs that are over. Holds one run in memory at a time. Raises
        StoreError; what was done until then stays, and everything can be read as before.
        """
        await self._remember_key()
        done, kept = 0, list[str]()
        for row in await self.store.rows():
            records = await self.store.records(row.run_id, after=row.forked_at)
            posted = await self.store.posted(row.run_id)
            if self._is_newest(row, records, posted):
                continue
            opened = WholeRun(
                row=self._opened_row(row),
                definition="",
                records=[self._opened_record(row.run_id, record) for record in records],
                openings=(),
                messages=[Posted(self._opened_message(message), taken) for message, taken in posted],
            )
            if await self.rewrite(opened):
                done += 1
            elif await self.store.row(row.run_id) is not None:
                kept.append(row.run_id)
        await self.store.sweep(None)
        await self.store.compact()  # what was written over may still be readable in what is free
        return Rotated(done, tuple(kept))

    def _is_newest(self, row: RunRow, records: Sequence[StoredRecord], posted: Sequence[Posted]) -> bool:
        """Whether all texts of a run are encrypted with the newest key."""
        texts = [row.hash, row.error, row.output]
        for record in records:
            texts += [record.body, record.content, record.hash, record.snapshot]
        for message, taken in posted:
            texts += [message.payload, message.by] if taken is None else [message.by]
        return all(self._ring.is_newest(text) for text in texts)


def owner_of(owners: Sequence[tuple[str, int]], seq: int) -> str:
    """Return which of some runs a record belongs to; see `Encrypted._owners`."""
    return next((run_id for run_id, before in owners if before < seq), owners[-1][0])


async def opened(store: Store) -> None:
    """Open a store, unless it is an encrypted one that was given without a key. Raises WrongKey, StoreError."""
    await store.open()
    if isinstance(store, Encrypted):
        return
    try:
        is_encrypted = await store.definition(MARK) is not None
    except BaseException:
        await store.close()
        raise
    if is_encrypted:
        await store.close()
        raise WrongKey(
            f"The store is encrypted. Give its key: set {VARIABLE} and name the store by its URL, or give "
            "Encrypted(store, [key]) in place of the store. Nothing was changed."
        )
