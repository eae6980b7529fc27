"""Runs with times to draw, written down as plain values, and runs whose times, names and causes make no sense."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final, Literal, get_args

from hypothesis import strategies as st

from milepost.engine.definition import Definition
from milepost.engine.trace import AttemptTrace, Edit, RunStatus, TaskStatus, TaskTrace, Trace, WaitTrace
from tests.visualize.subjects import CLAIMS, START, definition, edge, hostile, node

NIGHT: Final = 8 * 3600.0


def at(seconds: float) -> datetime:
    """Return a time so many seconds after the start."""
    return START + timedelta(seconds=seconds)


def did(
    node_id: str,
    born: float,
    *tries: tuple[float, float] | tuple[float, float, str],
    visit: int = 1,
    index: int | None = None,
    status: TaskStatus = "completed",
    cause: str | None = None,
    seq: int | None = None,
    finished: float | None = None,
    child: str | None = None,
    wait: WaitTrace | None = None,
) -> TaskTrace:
    """Write down a task. born: when it was spawned. tries: begin, end and error of each attempt, seconds."""
    tried = tuple(
        AttemptTrace(started=at(one[0]), finished=at(one[1]), error=one[2] if len(one) > 2 else None) for one in tries
    )
    over = status not in ("running", "pending", "waiting")
    last = tried[-1].finished if tried and over else None
    return TaskTrace(
        key=f"{node_id} {visit}",
        node=node_id,
        visit=visit,
        index=index,
        status=status,
        attempts=len(tried),
        tried=tried,
        spawned=at(born),
        started=tried[-1].started if tried else None,
        finished=last if finished is None else at(finished),
        cause=cause,
        seq=seq,
        error=tried[-1].error if tried and over else None,
        child=child,
        wait=wait,
    )


def waited(
    kind: Literal["ask", "event", "time", "race"],
    asked: float,
    settled: float | None = None,
    *,
    text: str = "",
    event: str = "",
    by: str | None = None,
) -> WaitTrace:
    """Write down what a task waited for."""
    how: Literal["answered", "received"] = "answered" if text else "received"
    return WaitTrace(
        kind=kind,
        id="q",
        asked=at(asked),
        text=text,
        event=event,
        settled=None if settled is None else at(settled),
        how=None if settled is None else how,
        by=by,
    )


def run(
    tasks: Sequence[TaskTrace],
    end: float,
    *,
    defined: Definition = CLAIMS,
    status: RunStatus = "completed",
    resumes: Sequence[float] = (),
    run_id: str = "8f3a21",
    children: Sequence[Trace] = (),
) -> Trace:
    """Write down a run. end: when its last record was committed."""
    return Trace(
        run_id=run_id,
        status=status,
        definition=defined,
        created=START,
        updated=at(end),
        tasks=tuple(tasks),
        taken={},
        checkpoints=len(tasks) + 1,
        resumes=tuple(at(one) for one in resumes),
        children={child.run_id: child for child in children},
    )


APPROVED: Final = Definition("claims", 3, (*CLAIMS.nodes, node("approve", "ask")), CLAIMS.edges)

EVENTFUL: Final = run(
    (
        did("prepare", 0, (0.01, 0.3)),
        did("analyse", 0.3, (0.3, 4.0, "TimeoutError: model"), (6, 12.3), cause="prepare 1"),
        did("triage", 12.3, (12.3, 12.31), cause="analyse 1"),
        did("analyse", 12.4, (12.4, 21.7), visit=2, cause="triage 1"),
        did("triage", 21.7, (21.7, 21.71), visit=2, cause="analyse 2"),
        did("gather", 21.8, (21.8, 23.0), cause="triage 2"),
        did("review", 23.1, (23.1, 27.2), visit=1, index=0, cause="gather 1"),
        did("review", 23.1, (NIGHT + 26.5, NIGHT + 33.2), visit=2, index=1, cause="gather 1"),
        did(
            "review",
            23.1,
            (27.2, 28, "ValueError: no weight"),
            (NIGHT + 26.5, NIGHT + 30),
            visit=3,
            index=2,
            cause="gather 1",
        ),
        did("score", NIGHT + 33.2, (NIGHT + 33.3, NIGHT + 34), cause="review 2"),
        did(
            "approve",
            NIGHT + 34,
            cause="score 1",
            finished=2 * NIGHT + 65,
            wait=waited("ask", NIGHT + 34, 2 * NIGHT + 65, text="Is that fine?", by="ada"),
        ),
        did("accept", 2 * NIGHT + 65, (2 * NIGHT + 65, 2 * NIGHT + 70), cause="approve 1", seq=13),
    ),
    2 * NIGHT + 70,
    defined=APPROVED,
    resumes=(NIGHT + 26.0,),
)
"""A retry, a loop, a map, a process that died over night, and a person who took the night to answer."""


def crowd(number: int = 10_000, *, lines: int = 40, failed: Sequence[int] = ()) -> Trace:
    """Return a run with a map of so many items, of which so many ran at a time."""
    random = Random(4)
    free = [1.0] * lines
    tasks = [did("gather", 0, (0, 1))]
    for item in range(number):
        start = heapq.heappop(free)
        stop = start + (4.0 if item == number // 2 else random.expovariate(20))
        heapq.heappush(free, stop)
        bad = item in failed
        tries = (start, stop, "ValueError: no") if bad else (start, stop)
        state: TaskStatus = "caught" if bad else "completed"
        tasks.append(did("review", 1, tries, visit=item + 1, index=item, cause="gather 1", status=state))
    end = max(free)
    last = max(tasks[1:], key=lambda task: task.finished or START)
    tasks.append(did("score", end, (end, end + 1), cause=last.key, seq=number + 3))
    return run(tasks, end + 1)


# --- what makes no sense ---------------------------------------------------------------------------------------------

_SECONDS: Final = st.one_of(st.floats(0, 100), st.sampled_from((0.0, 1.0, 1e-6, 3600.0, 86_400.0)), st.floats(0, 10**6))


@st.composite
def waits(draw: st.DrawFn) -> WaitTrace:
    """Something that was waited for, whatever was said, and whenever it came."""
    return WaitTrace(
        kind=draw(st.sampled_from(("ask", "event", "time", "race"))),
        id=draw(hostile),
        asked=at(draw(_SECONDS)),
        text=draw(hostile),
        event=draw(hostile),
        settled=draw(st.none() | _SECONDS.map(at)),
        how=draw(st.none() | st.sampled_from(("answered", "received", "elapsed", "expired"))),
        by=draw(st.none() | hostile),
    )


@st.composite
def timed_tasks(draw: st.DrawFn, ids: Sequence[str], number: int, children: Sequence[str]) -> TaskTrace:
    """A task with any times, in an order that may be impossible, as clocks of several machines tell them."""
    status = draw(st.sampled_from(get_args(TaskStatus)))
    moments = st.none() | _SECONDS.map(at)
    tried: list[AttemptTrace] = []
    for _ in range(draw(st.integers(0, 3))):
        start = draw(_SECONDS)
        length = draw(_SECONDS)
        tried.append(AttemptTrace(started=at(start), finished=at(start + length), error=draw(st.none() | hostile)))
    return TaskTrace(
        key=f"k{number}",
        node=draw(st.sampled_from(ids)),
        visit=number + 1,
        index=draw(st.none() | st.integers(0, 9)),
        status=status,
        attempts=len(tried),
        tried=tuple(tried),
        spawned=draw(moments),
        started=draw(moments),
        finished=draw(moments),
        cause=draw(st.none() | st.integers(-1, 12).map("k{}".format)),
        seq=draw(st.none() | st.integers(0, 12)),
        error=draw(st.none() | hostile),
        child=draw(st.none() | st.sampled_from(children)) if children else None,
        wait=draw(st.none() | waits()),
    )


@st.composite
def timed_traces(draw: st.DrawFn, deep: bool = True) -> Trace:
    """A run of nodes with hostile names, with any times, and runs inside it."""
    ids = draw(
        st.lists(hostile.filter(lambda id_: id_ not in ("__start__", "__end__")), min_size=1, max_size=4, unique=True)
    )
    kinds = ("function", "agent", "ask", "sleep", "join", "decision", "workflow")
    nodes = [node(id_, draw(st.sampled_from(kinds))) for id_ in ids]
    ways = draw(st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(ids)), max_size=4))
    children = draw(st.lists(timed_traces(deep=False), max_size=1)) if deep else []
    known = {f"child {number}": child for number, child in enumerate(children)}
    tasks = [draw(timed_tasks(ids, number, tuple(known))) for number in range(draw(st.integers(0, 8)))]
    return Trace(
        run_id=draw(hostile),
        status=draw(st.sampled_from(get_args(RunStatus))),
        definition=definition(nodes, [edge(*way, number) for number, way in enumerate(ways)], draw(hostile)),
        created=START,
        updated=at(draw(_SECONDS)),
        tasks=tuple(tasks),
        taken={},
        checkpoints=draw(st.integers(0, 12)),
        resumes=tuple(at(one) for one in draw(st.lists(_SECONDS, max_size=3))),
        error=draw(st.none() | hostile),
        children=known,
        forked_from=draw(st.none() | st.tuples(hostile, st.integers(1, 9))),
        edits=tuple(
            Edit(seq=2, at=at(one), fields=tuple(draw(st.lists(hostile, max_size=2))))
            for one in draw(st.lists(_SECONDS, max_size=2))
        ),
    )
