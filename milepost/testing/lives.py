"""One life of a process that runs a workflow: from its first step to the end of the run, or to its death."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeGuard

import anyio

from milepost.engine.engine import Engine
from milepost.engine.errors import MilepostError, OutcomeUnknown, ResumeError, RunBusy
from milepost.engine.executor import only_one
from milepost.engine.questions import OpenWait
from milepost.engine.run import Run
from milepost.engine.settlement import Settlement
from milepost.engine.stores.store import Store
from milepost.engine.workflow import Workflow
from milepost.testing.notes import Note, WatchedEngine, Witness

ASK_AGAIN = 0.05
"""Seconds between two tries to get a run whose owner has just died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One life of the process that runs a workflow.

    trial: a run of its own, 0 for the one without a crash. number: of the life in its trial, from 0. run_id: of the
    run, which all lives of a trial go on with. folder: for files; what is in it survives, and all lives see it.
    """

    trial: int
    number: int
    run_id: str
    folder: Path


NOTHING_SAID: Final[Mapping[str, object]] = {}

AnyWorkflow = Workflow[Any, Any, Any, Any]
MakeStore = Callable[[Life], Store]


class AfterDeath(Exception):
    """Something would have happened in a process that is dead."""


class NotSettled(MilepostError):
    """Nobody has said what became of tasks that may run at most once and had begun. nodes: of them."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self.nodes = tuple(nodes)
        names = " and ".join(map(repr, self.nodes))
        super().__init__(
            f"what may run at most once had begun when the process died, at node {names}, and nobody knows whether it "
            f"had its effect. Say what a person would say: settle={{{self.nodes[0]!r}: Again()}}, or Done(value)"
        )


class NothingComes(MilepostError):
    """The run waits for what nobody will ever say to it."""

    def __init__(self, node: str) -> None:
        self.node = node
        super().__init__(
            f"node {node!r} waits for what nobody says to it. Say what a person would answer, answers={{{node!r}: "
            "...}, or what an event carries, events={...}"
        )


class DidNotEnd(MilepostError):
    """The run was still under way when its time was up."""

    def __init__(self, run_id: str, seconds: float) -> None:
        super().__init__(f"run {run_id!r} did not end within {seconds:g} seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A workflow and what its runs are given.

    deps: an object for all lives, or a function of the `Life` that makes one, waits for one, or gives an async context
    manager of one. store: makes a store for a life. settle: by node, what a person says about a task that may run at
    most once and had begun. answers: by node, what a person answers. events: by name, what an event carries. timeout:
    seconds that a life may last.
    """

    workflow: AnyWorkflow
    inputs: Any
    state: Any
    deps: Any
    store: MakeStore
    settle: Mapping[str, Settlement] = field(default_factory=dict[str, Settlement])
    answers: Mapping[str, object] = field(default_factory=dict[str, object])
    events: Mapping[str, object] = field(default_factory=dict[str, object])
    timeout: float = 60.0

    async def make_deps(self, life: Life, stack: AsyncExitStack) -> Any:
        """Return the deps of a life. stack: takes what has to be left at its end."""
        if self.deps is None and self.workflow.deps_factory is not None:
            return await stack.enter_async_context(self.workflow.deps_factory())
        given: object = self.deps
        if not is_factory(given):
            return given
        made: Any = given(life)
        if hasattr(made, "__aenter__"):
            return await stack.enter_async_context(made)
        return await made if inspect.isawaitable(made) else made


def is_factory(deps: object) -> TypeGuard[Callable[[Life], object]]:
    """Tell whether deps are to be made anew for every life: by a function, a method or a class."""
    return inspect.isroutine(deps) or isinstance(deps, (type, partial))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """How a life went.

    ended: the run came to its end in it. error: why it did not, None where the process died as it was meant to.
    """

    notes: list[Note] = field(default_factory=list[Note])
    ended: bool = False
    error: BaseException | None = None


async def live(
    subject: Subject, life: Life, witness: Witness, *, commits: int | None = None, die: Callable[[], None] | None = None
) -> bool:
    """Begin the run or go on with it. Returns whether it came to its end, rather than its process.

    commits, die: as in `MortalStore`. Raises what the run failed with; DidNotEnd.
    """
    scope, dead = anyio.CancelScope(), False

    def fall() -> None:
        nonlocal dead
        dead = True
        (die or scope.cancel)()

    def note(one: Note) -> None:
        if dead:  # a body that is about to begin would run up to where it waits, although everything is cancelled
            raise AfterDeath
        witness(one)

    try:
        with scope:
            with anyio.move_on_after(subject.timeout) as limit:
                async with AsyncExitStack() as stack:
                    deps = await subject.make_deps(life, stack)
                    engine = WatchedEngine(subject.store(life), note, commits=commits, die=fall)
                    await stack.enter_async_context(engine)
                    await ended(engine, await begin(engine, subject, life, deps), subject)
            if limit.cancelled_caught:
                raise DidNotEnd(life.run_id, subject.timeout)
    except Exception:
        if not dead:  # what bodies do when their process dies is lost with the rest
            raise
    return not dead


async def ended(engine: Engine, run: Run[Any], subject: Subject) -> None:
    """Wait for the end of a run, and say to it what it waits for. Raises what it failed with; NothingComes."""

    async def speak() -> None:
        while not run.is_over:
            if await run.settle() == "waiting":
                await answer_all(engine, run.id, subject)
                await anyio.sleep(ASK_AGAIN)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(speak)
            await run.result()
            group.cancel_scope.cancel()
    except BaseExceptionGroup as several:
        raise only_one(several) from None


async def answer_all(engine: Engine, run_id: str, subject: Subject) -> None:
    """Say to a run and those inside it what they wait for, each thing once. Raises NothingComes."""
    tasks: dict[str, list[OpenWait]] = {}
    for wait in await engine.waits(run_id):
        tasks.setdefault(wait.task, []).append(wait)
    for waits in tasks.values():
        known = [one for one in waits if can_be_said(one, subject)]
        if not known and all(one.until is None for one in waits):
            raise NothingComes(waits[0].node)
        for wait in known[:1]:
            with suppress(ResumeError):  # it is answered, or the run has gone on meanwhile
                if wait.kind == "ask" and wait.answered is None:
                    await engine.answer(run_id, wait.id, subject.answers[wait.node], by="a person")
                elif wait.kind == "event":
                    await engine.send(run_id, wait.event, subject.events[wait.event], key=wait.key, id=wait.id)


def can_be_said(wait: OpenWait, subject: Subject) -> bool:
    """Tell whether it is known what somebody would say to what waits."""
    if wait.kind == "ask":
        return wait.node in subject.answers
    return wait.kind == "event" and wait.event in subject.events


async def begin(engine: WatchedEngine, subject: Subject, life: Life, deps: Any) -> Run[Any]:
    """Begin the run of a life, or go on with it as soon as nobody else drives it."""
    if await engine.mortal.as_store.row(life.run_id) is None:
        state = deepcopy(subject.state)  # what is given becomes what the run makes of it
        return await engine.start(subject.workflow, inputs=subject.inputs, state=state, deps=deps, run_id=life.run_id)
    while True:
        try:
            return await resumed(engine, subject, life, deps)
        except RunBusy:
            await anyio.sleep(ASK_AGAIN)


async def resumed(engine: Engine, subject: Subject, life: Life, deps: Any) -> Run[Any]:
    """Go on with the run; what may run at most once is settled as the subject says."""
    try:
        return await engine.resume(life.run_id, subject.workflow, deps=deps)
    except OutcomeUnknown as unknown:
        nodes = sorted({node for _, node in unknown.tasks} - subject.settle.keys())
        if nodes:
            raise NotSettled(nodes) from unknown
        settle = {key: subject.settle[node] for key, node in unknown.tasks}
        return await engine.resume(life.run_id, subject.workflow, deps=deps, settle=settle)
