"""Short ways to write into a store, and to hear what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from milepost.engine.stores.store import CacheEntry, Entry, Message, NewRun, Store
from milepost.engine.trace import RunStatus


def new_run(
    run_id: str,
    *,
    workflow: str = "claims",
    fingerprint: str = "f1",
    definition: str = '{"nodes":[]}',
    parent: tuple[str, str] | None = None,
    forked: tuple[str, int] | None = None,
    snapshot_seq: int = 0,
    tags: tuple[str, ...] = (),
) -> NewRun:
    """Return a run to be created.

    parent: the run and the task that it is in. forked: the run that it shares records of, and the last of them.
    """
    parent_run, parent_task = parent or (None, None)
    forked_from, forked_at = forked or (None, 0)
    return NewRun(
        run_id=run_id,
        workflow=workflow,
        version=3,
        fingerprint=fingerprint,
        definition=definition,
        isolation="task",
        parent_run=parent_run,
        parent_task=parent_task,
        forked_from=forked_from,
        forked_at=forked_at,
        snapshot_seq=snapshot_seq,
        tags=tags,
    )


def entry(
    run_id: str,
    seq: int,
    *,
    epoch: int = 1,
    body: str = "{}",
    content: str = "[]",
    at: float = 1000.0,
    snapshot: str | None = None,
    status: RunStatus = "running",
    error: str | None = None,
    output: str | None = None,
    cache: CacheEntry | None = None,
    taken: tuple[str, ...] = (),
    fingerprint: str | None = None,
    due: float | None = None,
) -> Entry:
    """Return an entry that says little."""
    digest = f"hash {seq}"
    return Entry(
        *(run_id, epoch, seq, body, content, digest, at, snapshot, status, error, output, cache, taken, fingerprint),
        due=due,
    )


def message(run_id: str, message_id: str, *, payload: str = "{}", at: float = 1000.0) -> Message:
    """Return a message from outside."""
    return Message(run_id, message_id, "answer", payload, "Ann", at)


@dataclass
class Answers:
    """What a store acknowledged, in the order it did: (what was named, error)."""

    given: list[tuple[object, BaseException | None]] = field(default_factory=list[tuple[object, BaseException | None]])
    waited_for: int = 0
    done: anyio.Event = field(default_factory=anyio.Event)

    def expect(self, name: object) -> Callable[[BaseException | None], None]:
        """Return what to give to the store for one entry."""
        self.waited_for += 1

        def acknowledge(error: BaseException | None) -> None:
            self.given.append((name, error))
            if len(self.given) == self.waited_for:
                self.done.set()

        return acknowledge

    async def all(self) -> list[tuple[object, BaseException | None]]:
        """Wait until every entry is answered."""
        with anyio.fail_after(60):
            await self.done.wait()
        return self.given


async def append(store: Store, *entries: Entry) -> None:
    """Append entries and wait for all of them; raises the first error."""
    answers = Answers()
    for each in entries:
        store.append(each, answers.expect(each.seq))
    for _, error in await answers.all():
        if error is not None:
            raise error


async def begin(store: Store, run_id: str = "run", *, length: int = 1) -> None:
    """Create a run with that many records."""
    assert await store.create(new_run(run_id), entry(run_id, 1))
    if length > 1:
        await append(store, *(entry(run_id, seq) for seq in range(2, length + 1)))
