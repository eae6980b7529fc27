"""The protocol of stores: where journals live, and what every store promises.

- `create` and every appended entry are one transaction each, and are acknowledged only when they are as durable as the
  store says. Entries of one run are acknowledged in order.
- One owner per run: `create` and `acquire` give a lease with a growing fencing number (the epoch), and an entry of
  another epoch, or by anybody but the one that got this one, is refused with LeaseLost: the run may have been removed,
  and another begun with its id.
- What is read is what was written, or an error.
- Whoever is not the owner speaks to a run by its inbox alone: a message is one insert, unique by its id in the run, and
  the owner takes it into a record in the transaction that commits the record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from milepost.engine.trace import RunStatus

Durability = Literal["power", "process", "none"]
"""What a committed record survives: the loss of power, the death of the process, or what a store makes of "none"."""

Acknowledge = Callable[[BaseException | None], None]
"""Called once on the event loop's thread: with None when the entry is committed, else with why it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """What a store knows of a run without reading its journal.

    seq, hash: of its newest record. snapshot_seq: the newest record that carries a snapshot, 0 for none. created,
    updated: seconds since 1970 UTC. output: JSON text. isolation: "task" or "shared". parent_run, parent_task: the run
    that this one is a task of, and the key of that task; None for a run of its own. forked_from, forked_at: the run
    that the records up to this number belong to, which are the first ones of this run, too; None and 0 for a run that
    shares none. tags: what it can be found by, in the order they were given; they never change. due: seconds since 1970
    UTC at which a run that waits goes on by itself, None for no time.
    """

    run_id: str
    workflow: str
    version: int
    fingerprint: str
    status: RunStatus
    isolation: str
    created: float
    updated: float
    seq: int
    hash: str
    snapshot_seq: int
    epoch: int
    owner: str | None
    error: str | None
    output: str | None
    parent_run: str | None = None
    parent_task: str | None = None
    forked_from: str | None = None
    forked_at: int = 0
    tags: tuple[str, ...] = ()
    due: float | None = None


class CacheEntry(NamedTuple):
    """A result that any later task with the same key may use. value: JSON text. expires: seconds since 1970 UTC."""

    key: str
    value: str
    expires: float | None = None


class Entry(NamedTuple):
    """One record to be committed, with all that changes in the same transaction.

    status, error, output, due: what the run's row says from now on. cache: a result to be kept, in place of an earlier
    one of its key. taken: ids of the messages that the record has taken in; they leave the inbox with their payloads,
    and an id that is not in it changes nothing. fingerprint: of the definition that the run follows from now on, which
    `define` has made known. alone: as far as is known, nothing else of the run can go on before this is committed; that
    says how, not whether, to commit.
    """

    run_id: str
    epoch: int
    seq: int
    body: str
    content: str
    hash: str
    at: float
    snapshot: str | None
    status: RunStatus
    error: str | None
    output: str | None
    cache: CacheEntry | None = None
    taken: tuple[str, ...] = ()
    fingerprint: str | None = None
    due: float | None = None
    alone: bool = False


class StoredRecord(NamedTuple):
    """One record as it lies in a store. at: when it was committed, seconds since 1970 UTC."""

    seq: int
    body: str
    content: str
    hash: str
    at: float
    snapshot: str | None


class Opening(NamedTuple):
    """When somebody became a run's owner."""

    epoch: int
    owner: str
    at: float


class Message(NamedTuple):
    """Something said to a run from outside.

    id: unique in the run, for ever: a message that is posted again, as after a crash, is not told twice. kind: what the
    owner is to do with it, e.g. "cancel". payload: JSON text. by: who says it, for people. at: when it was said,
    seconds since 1970 UTC. number: given by the store, see `Store.news`.
    """

    run_id: str
    id: str
    kind: str
    payload: str
    by: str | None
    at: float
    number: int = 0


class Posted(NamedTuple):
    """A message that was once posted. taken: the number of the record that took it in; None: it waits.

    What was taken has no payload any more; its id is kept, so that it is not told twice.
    """

    message: Message
    taken: int | None


class Notice(NamedTuple):
    """That a message waits in the inbox of a run. number: of the message."""

    number: int
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be created.

    definition: the JSON text of its workflow's definition. parent_run, parent_task: as in `RunRow`; the parent need not
    be in this store. forked_from, forked_at: as in `RunRow`; the last of the records that it shares is one that
    `forked_from` does not share itself. snapshot_seq: of those records, the newest that carries a snapshot. tags: none
    twice, none empty.
    """

    run_id: str
    workflow: str
    version: int
    fingerprint: str
    definition: str
    isolation: str
    parent_run: str | None = None
    parent_task: str | None = None
    forked_from: str | None = None
    forked_at: int = 0
    snapshot_seq: int = 0
    tags: tuple[str, ...] = ()

    def row(self, first: Entry, owner: str) -> RunRow:
        """Return the row of this run with its first record, in the hands of its first owner."""
        return RunRow(
            run_id=self.run_id,
            workflow=self.workflow,
            version=self.version,
            fingerprint=self.fingerprint,
            status=first.status,
            isolation=self.isolation,
            created=first.at,
            updated=first.at,
            seq=first.seq,
            hash=first.hash,
            snapshot_seq=self.snapshot_seq if first.snapshot is None else first.seq,
            epoch=first.epoch,
            owner=owner,
            error=first.error,
            output=first.output,
            parent_run=self.parent_run,
            parent_task=self.parent_task,
            forked_from=self.forked_from,
            forked_at=self.forked_at,
            tags=self.tags,
            due=first.due,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRun:
    """All that a store has of one run.

    definition: the JSON text that goes with the row's fingerprint. records: its own, without those that it shares.
    """

    row: RunRow
    definition: str
    records: Sequence[StoredRecord]
    openings: Sequence[Opening]
    messages: Sequence[Posted]


class Weight(NamedTuple):
    """How much something is. bytes: of its texts, without what a store adds to them."""

    runs: int = 0
    records: int = 0
    bytes: int = 0


class Leftovers(NamedTuple):
    """What nobody needs any more. results: of tasks. messages: to runs that are over. bytes: of their texts."""

    results: int = 0
    messages: int = 0
    bytes: int = 0


class Store(Protocol):
    """Where journals live. Every method may raise StoreError."""

    async def open(self) -> None:
        """Get ready; called once, on the event loop that the store will be used from."""
        ...

    async def close(self) -> None:
        """Wait for what is being written, give up all leases, and let go of files and threads."""
        ...

    async def create(self, run: NewRun, first: Entry) -> bool:
        """Create a run with its first record and become its owner (epoch 1).

        The number of that record is the one after `forked_at`. Returns False, changing nothing, if the id is taken.
        Raises UnknownRun: the run that it shares records of is not there any more.
        """
        ...

    async def acquire(self, run_id: str) -> RunRow:
        """Become the owner of a run; its row then holds the new epoch. Raises UnknownRun, RunBusy, CrashLoop."""
        ...

    async def release(self, run_id: str, epoch: int) -> None:
        """Stop being the owner."""
        ...

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        """Commit an entry. Acknowledges at once or later, in order, on the event loop's thread."""
        ...

    async def row(self, run_id: str) -> RunRow | None:
        """Return the row of a run."""
        ...

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
        """Return rows, the run that was created last first, runs of one moment by their ids.

        prefix: what the ids begin with. status, workflow, tag: only runs of these. since: only runs that were created
        at this moment or later, seconds since 1970 UTC. nested: with the runs inside runs. limit: at most so many, so
        that nobody has to load what nobody looks at. before: the last row of the page before this one; it need not be
        there any more.
        """
        ...

    async def counts(
        self, *, workflow: str | None = None, tag: str | None = None, since: float | None = None, nested: bool = False
    ) -> Mapping[RunStatus, int]:
        """Return how many runs stand how, without what there is none of. The options are those of `rows`."""
        ...

    async def ready(self, now: float, workflows: Collection[str], *, limit: int) -> Sequence[RunRow]:
        """Return the runs that somebody should go on with, the one that was changed first first, at most `limit`.

        Those are runs of these workflows, outermost, running or waiting, that nobody alive owns (this store included),
        and in which something can go on. That is so where the run itself, or one inside it at any depth, under runs
        that are running or waiting,
        - is running, and nobody alive owns it;
        - is waiting until a time that has come by now (seconds since 1970 UTC; it is compared with nothing else);
        - is waiting, and a message is in its inbox that no record has taken.
        Who is alive is judged as by `acquire`, and another may acquire a run before you do. Cheap enough to be asked
        every second: the cost does not grow with the runs that are over.
        """
        ...

    async def alive(self) -> Collection[str]:
        """Return which owners live, by the names that rows have for them: of those that own runs, and this store.

        Who is alive is judged as by `acquire`. The cost does not grow with the runs.
        """
        ...

    async def children(self, run_id: str, *, status: RunStatus | None = None) -> Sequence[RunRow]:
        """Return the rows of the runs that are tasks of a run, not of those inside them, as they were created.

        status: only runs of this.
        """
        ...

    async def records(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[StoredRecord]:
        """Return the records of a run whose number is greater than `after`, in order, at most `limit` of them.

        With those that it shares, and that the run which it was forked from may share with another, and so on.
        """
        ...

    async def record(self, run_id: str, seq: int) -> StoredRecord | None:
        """Return one record, its own or one that it shares."""
        ...

    async def snapshot_seq(self, run_id: str, until: int) -> int:
        """Return the number of the newest record, `until` at most, that carries a snapshot; 0 if there is none."""
        ...

    async def openings(self, run_id: str) -> Sequence[Opening]:
        """Return who owned a run, in order."""
        ...

    async def definition(self, fingerprint: str) -> str | None:
        """Return the description of a workflow that ran here."""
        ...

    async def define(self, fingerprint: str, text: str) -> None:
        """Keep the description of a workflow, so that an entry can name its fingerprint. The first text stays."""
        ...

    async def cached(self, key: str, now: float) -> str | None:
        """Return the value that an entry has kept under a key, unless it has expired by now (seconds since 1970 UTC).

        What has expired is removed a little at a time, whenever another value is kept.
        """
        ...

    async def post(self, message: Message) -> bool:
        """Put a message into the inbox of a run, whoever owns it, and however it stands.

        Returns False, changing nothing, if the run has or had a message of that id. When two post at the same instant,
        one gets True. Raises UnknownRun.
        """
        ...

    async def inbox(self, run_id: str) -> Sequence[Message]:
        """Return the messages to a run that no record has taken, in the order of their numbers."""
        ...

    async def news(self, after: int) -> Sequence[Notice]:
        """Return which runs have messages with a number greater than `after` that no record has taken, in order.

        Cheap enough to be asked many times a second, from each process once for all its runs: go on from the number of
        the last notice, 0 at first. The store numbers all messages in the order in which they become visible, so
        nothing is missed by whoever acquires a run first, reads its inbox then, and the news afterwards. A message may
        be met in both: its id tells.
        """
        ...

    # --- looking after it --------------------------------------------------------------------------------------------

    async def posted(self, run_id: str) -> Sequence[Posted]:
        """Return every message that was ever posted to a run, in the order of their numbers."""
        ...

    async def weigh(self, run_ids: Sequence[str]) -> Weight:
        """Return how much some runs are; those that are not there weigh nothing."""
        ...

    async def delete(self, rows: Sequence[RunRow]) -> bool:
        """Remove runs with all that belongs to them, in one transaction; their ids can be used again.

        Returns False, changing nothing, if one of them has an owner who lives, stands at another record or epoch than
        its row says, or is gone; or if a run that is not among them is inside one of them, or shares its records.
        """
        ...

    async def insert(self, runs: Sequence[WholeRun]) -> bool:
        """Put whole runs in, owned by nobody, in one transaction. Messages get new numbers, in their order.

        Returns False, changing nothing, if one of their ids is taken.
        """
        ...

    async def rewrite(self, run: WholeRun) -> bool:
        """Put other texts in place of those of a run, in one transaction.

        Those are the body, content, hash and snapshot of the records that are given, the hash, error and output of the
        row, the payload of messages that still wait, and the sender of all that are given. Records that the run shares
        with another are not its own, and not given. Returns False, changing nothing, if the run has an owner who lives,
        stands at another record or epoch than its row says, or is gone.
        """
        ...

    async def sweep(self, now: float | None, *, dry_run: bool = False) -> Leftovers:
        """Remove the results that have expired by now, and empty the inboxes of runs that are over.

        now: seconds since 1970 UTC; None for all results, whether they expire or not. Over is what is completed or
        cancelled; the ids of its messages are kept. dry_run: only say what would go.
        """
        ...

    async def compact(self) -> int:
        """Give back the room of what was removed, as far as that holds up nobody. Returns how many bytes that were."""
        ...

    async def check(self) -> Sequence[str]:
        """Look for damage that is not in one run, and return what was found, in whole sentences."""
        ...
