"""What `crash_everywhere` was given, and lives of it in this process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import anyio

from milepost.cli.target import find_object, find_workflow
from milepost.engine.errors import InputError
from milepost.engine.executor import only_one
from milepost.engine.settlement import Settlement
from milepost.engine.stores.address import open_store
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.testing.lives import AnyWorkflow, Life, Lived, MakeStore, Subject, live
from milepost.testing.notes import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What `crash_everywhere` was given to run; its parameters of the same names."""

    workflow: AnyWorkflow | str
    inputs: Any
    state: Any
    deps: Any
    store: MakeStore | str | None
    settle: Mapping[str, Settlement]
    answers: Mapping[str, object]
    events: Mapping[str, object]
    timeout: float
    backend: str


class LivesHere:
    """Lives in this process, each on an event loop of its own, of which nothing is left afterwards."""

    def __init__(self, given: Given) -> None:
        self.subject = Subject(
            workflow=find_workflow(given.workflow) if isinstance(given.workflow, str) else given.workflow,
            inputs=given.inputs,
            state=given.state,
            deps=given.deps,
            store=store_maker(given.store) or in_memory(),
            settle=given.settle,
            answers=given.answers,
            events=given.events,
            timeout=given.timeout,
        )
        self._backend = given.backend

    def __enter__(self) -> LivesHere:
        return self

    def __exit__(self, *args: object) -> None:
        pass

    def live(self, life: Life, commits: int | None) -> Lived:
        notes: list[Note] = []

        async def main() -> bool:
            return await live(self.subject, life, notes.append, commits=commits)

        try:
            ended = anyio.run(main, backend=self._backend)
        except Exception as error:
            return Lived(notes=notes, error=only_one(error))
        return Lived(notes=notes, ended=ended)


def in_memory() -> MakeStore:
    """Return what makes the stores of runs that each have a memory of their own, which survives their lives."""
    journals: dict[str, Journals] = defaultdict(Journals)
    return lambda life: MemoryStore(journals[life.run_id])


def store_maker(store: MakeStore | str | None) -> MakeStore | None:
    """Return what makes the store of a life. store: that, its name as a target, or the URL of the store.

    Raises InputError: the URL names no store that outlives a process.
    """
    if not isinstance(store, str):
        return store
    if store.startswith("memory:"):
        raise InputError(f"What is in {store!r} dies with the process. Leave store= out, or name another one.")
    if "://" in store:
        return lambda life: open_store(store)
    return cast("MakeStore", find_object(store))  # nobody can see what a name stands for
