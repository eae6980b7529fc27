"""`crash_everywhere`: run a workflow, let its process die after every record, and hold what comes out against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol, TypeVar
from uuid import uuid4

import anyio

from milepost.engine.engine import Engine
from milepost.engine.errors import BrokenJournal, InputError, UnknownRun
from milepost.engine.settlement import NOTHING_SETTLED, Settlement
from milepost.engine.workflow import Workflow
from milepost.testing.findings import CrashFound, CrashReport
from milepost.testing.given import Given, LivesHere
from milepost.testing.journals import Journal, Result, read_tree, result_of
from milepost.testing.judging import Evidence, Judge, Same
from milepost.testing.lives import NOTHING_SAID, Life, Lived, MakeStore, Subject
from milepost.testing.notes import Kept, Note
from milepost.testing.nursery import Nursery

T = TypeVar("T")
Kills = Literal["in process", "SIGKILL"]


def crash_everywhere(
    workflow: Workflow[Any, Any, Any, Any] | str,
    inputs: Any = None,
    *,
    state: Any = None,
    deps: Any = None,
    store: MakeStore | str | None = None,
    kills: Kills = "in process",
    same_output: Same | None = None,
    same_state: Same | None = None,
    settle: Mapping[str, Settlement] = NOTHING_SETTLED,
    answers: Mapping[str, object] = NOTHING_SAID,
    events: Mapping[str, object] = NOTHING_SAID,
    at: Sequence[int] = (),
    timeout: float = 60.0,
    backend: Literal["asyncio", "trio"] = "asyncio",
    folder: Path | None = None,
) -> CrashReport:
    """Run a workflow straight, then once for every record it makes, with its process dying right after that record.

    Every run that died is resumed. It has to come to the same output, the same final state and the same journal but for
    times and order, without losing a committed record and without running a committed task again. At last one run dies
    after each of its records. What a process dies with is lost, all but the store and the files in `Life.folder`.

    deps: an object for all lives, or a function of the `Life` that makes one, waits for one, or gives an async context
    manager of one.
    store: makes a store for a life, or its URL; a MemoryStore for each run if it is not given. kills: "in process"
    stops everything and throws it away; "SIGKILL" kills real processes, for which workflow, deps and store are named as
    "module:attribute" or "file.py:attribute" (a store by its URL, too).
    same_output: for a workflow whose result depends on timing, tells of the output without a crash and another whether
    that is as good; journals are then not compared. same_state: the same for the final state. settle: by node, what a
    person says about a task that may run at most once and had begun. answers: by node, what a person answers to its
    questions; events: by name, what an event carries that is waited for; both as JSON has it. at: after how many
    records the process dies, in one run, instead of all of the above. timeout: seconds that a life of the process may
    last. folder: see `Life`.
    Can be called from a test that is a coroutine, too, which it blocks.
    Raises CrashFound, an AssertionError; InputError; in process, what the run without a crash fails with.
    """
    if kills not in ("in process", "SIGKILL"):
        raise InputError(f"kills={kills!r} is not known. Write 'in process' or 'SIGKILL'.")
    if list(at) != sorted({number for number in at if number > 0}):
        raise InputError(f"at={at!r} is no list of records. Give numbers from 1 on, each greater than the one before.")
    given = Given(
        workflow=workflow,
        inputs=inputs,
        state=state,
        deps=deps,
        store=store,
        settle=settle,
        answers=answers,
        events=events,
        timeout=timeout,
        backend=backend,
    )
    kept: AbstractContextManager[Any] = nullcontext(folder) if folder else TemporaryDirectory(prefix="milepost-")

    def carry_out() -> CrashReport:
        with kept as place:
            where = Path(place)
            where.mkdir(parents=True, exist_ok=True)
            lives: Lives = Nursery(given) if kills == "SIGKILL" else LivesHere(given)
            with lives:
                return Experiment(lives, where, same_output, same_state).carry_out(at)

    return outside_event_loop(carry_out)


def outside_event_loop(function: Callable[[], T]) -> T:
    """Call a function that runs event loops of its own, in another thread where this one has a loop already."""
    try:
        anyio.get_current_task()
    except RuntimeError:
        return function()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


class Lives(Protocol):
    """Where the lives of a process are lived. A context manager. subject: what they run, as it is known here."""

    subject: Subject

    def live(self, life: Life, commits: int | None) -> Lived:
        """Live until the run has ended or so many records are committed."""
        ...

    def __enter__(self) -> object: ...

    def __exit__(self, *args: object) -> None: ...


class Experiment:
    """Runs of one workflow, with their crashes. folder: of the `Life`."""

    def __init__(self, lives: Lives, folder: Path, same_output: Same | None, same_state: Same | None) -> None:
        self._lives = lives
        self._folder = folder
        self._same_output = same_output
        self._same_state = same_state
        self._name = f"crash-{uuid4().hex[:8]}"
        self._crashes = 0

    def carry_out(self, at: Sequence[int]) -> CrashReport:
        """Run straight, then through crashes. Raises CrashFound."""
        straight = self._trial(0, ())
        records = len(straight.kept)
        every = range(1, records + 1)
        plans: list[Sequence[int]] = [at] if at else [*([number] for number in every), every]
        judge = Judge(
            straight=straight,
            state_type=self._lives.subject.workflow.state_type,
            same_output=self._same_output,
            same_state=self._same_state,
        )
        ran, again = Counter[str](), Counter[str]()
        for number, deaths in enumerate(plans, 1):
            evidence = self._trial(number, deaths)
            fault = judge.fault(evidence)
            if fault is not None:
                raise CrashFound(deaths, in_words(deaths, evidence.notes), fault)
            ran += evidence.ran()
            again += evidence.again()
        return CrashReport(
            output=straight.result.output, records=records, crashes=self._crashes, ran=dict(ran), again=dict(again)
        )

    def _trial(self, number: int, deaths: Sequence[int]) -> Evidence:
        """Run once, with a process that dies after so many records, and again and again."""
        notes: list[list[Note]] = []
        kept = 0
        life = Life(trial=number, number=0, run_id=f"{self._name}-{number}", folder=self._folder)
        for count, death in enumerate([*deaths, None]):
            life = replace(life, number=count)
            lived = self._lives.live(life, None if death is None else death - kept)
            notes.append(lived.notes)
            if lived.error is not None:
                raise lived.error if count == 0 else self._failed(deaths[:count], notes, lived.error)
            if lived.ended:
                break
            self._crashes += 1
            kept += sum(isinstance(note, Kept) for note in lived.notes)
        try:
            journals, result = anyio.run(self._read, life)
        except (BrokenJournal, UnknownRun) as error:
            raise CrashFound(deaths, in_words(deaths, notes), f"the store is not whole. {error}") from error
        return Evidence(notes=notes, journals=journals, result=result)

    async def _read(self, life: Life) -> tuple[list[Journal], Result]:
        """Read what a life has left in its store."""
        subject = self._lives.subject
        store = subject.store(life)
        async with Engine(store) as engine:
            journals = await read_tree(store, life.run_id)
            return journals, await result_of(engine, subject.workflow, journals[0])

    def _failed(self, deaths: Sequence[int], notes: list[list[Note]], error: BaseException) -> CrashFound:
        text = f"the run could not go on. {type(error).__name__}: {str(error).rstrip('.')}."
        found = CrashFound(deaths, in_words(deaths, notes), text)
        found.__cause__ = error
        return found


def in_words(deaths: Sequence[int], notes: Sequence[Sequence[Note]]) -> str:
    """Say when a process died. notes: those of its lives."""
    kept = [note for life in notes for note in life if isinstance(note, Kept)]
    came = [death for death in deaths if death <= len(kept)]
    if not came:
        return "Without any crash"
    last = f" ({kept[came[-1] - 1]})"
    if len(came) == 1:
        return f"After a crash right behind record {came[0]}{last}"
    numbers = ", ".join(map(str, came)) if len(came) <= 5 else f"{came[0]} to {came[-1]}"
    return f"After crashes right behind records {numbers}{last}"
