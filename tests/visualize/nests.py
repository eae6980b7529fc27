"""Workflows inside workflows to draw, and runs of them, written down as plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import get_args

from hypothesis import strategies as st

from milepost.engine.definition import DefinedNode, Definition
from milepost.engine.trace import Edge, JoinTrace, RunStatus, TaskStatus, TaskTrace, Trace
from tests.visualize.subjects import START, definition, edge, hostile, node, task

ENDS = ("__start__", "__end__")


def runs(id_: str, child: Definition | None, *marks: str, name: str = "") -> DefinedNode:
    """Write down a node that runs a workflow. name: of one that is not written down again."""
    return DefinedNode(
        id=id_, kind="workflow", workflow=name if child is None else child.name, marks=marks, child=child
    )


FRAUD = definition(
    [node("ask"), node("weigh")], [edge("__start__", "ask"), edge("ask", "weigh"), edge("weigh", "__end__")], "fraud"
)
CREDIT = definition(
    [
        node("look_up", "function", "retry ≤ 3"),
        node("rate", "decision"),
        node("rate_choice", "decision", generated=True),
        node("accept"),
        runs("fraud", FRAUD),
    ],
    [
        edge("__start__", "look_up"),
        edge("look_up", "rate"),
        edge("rate", "rate_choice"),
        edge("rate_choice", "accept", 0, "good"),
        edge("rate_choice", "fraud", 1, "odd"),
        edge("accept", "__end__"),
        edge("fraud", "__end__"),
    ],
    "credit check",
)
SHOP = definition(
    [
        node("take"),
        runs("buyer", CREDIT, "retry ≤ 2"),
        node("again", "decision"),
        node("again_choice", "decision", generated=True),
        runs("seller", CREDIT),
    ],
    [
        edge("__start__", "take"),
        edge("take", "buyer"),
        edge("buyer", "again"),
        edge("again", "again_choice"),
        edge("again_choice", "buyer", 0, "once more"),
        edge("again_choice", "seller", 1, "fine"),
        edge("seller", "__end__"),
    ],
    "shop",
)
"""One workflow used twice, with another inside it, and a loop around it."""

BATCH = definition(
    [
        node("split"),
        node("split_each_check", "map", generated=True),
        runs("check", CREDIT),
        node("check_outcome", "decision", generated=True),
        node("help"),
        node("collect", "join"),
    ],
    [
        edge("__start__", "split"),
        edge("split", "split_each_check"),
        edge("split_each_check", "check"),
        edge("check", "check_outcome"),
        edge("check_outcome", "help", 0, "on error", error=True),
        edge("check_outcome", "collect", 1),
        edge("help", "collect"),
        edge("collect", "__end__"),
    ],
    "batch",
)
"""A map over a workflow, whose failures are led to a handler."""

TREE = definition(
    [node("grow"), runs("below", None, name="tree")],
    [edge("__start__", "grow"), edge("grow", "below"), edge("below", "__end__")],
    "tree",
)
"""A workflow that runs itself."""


def begun(of: TaskTrace, run_id: str) -> TaskTrace:
    """Say that a task drives a run."""
    return replace(of, child=run_id)


def run(
    of: Definition,
    run_id: str,
    tasks: list[TaskTrace],
    taken: dict[Edge, int],
    *children: Trace,
    status: RunStatus = "completed",
    error: str | None = None,
) -> Trace:
    """Write down a run of ten seconds."""
    return Trace(
        run_id=run_id,
        status=status,
        definition=of,
        created=START,
        updated=START + timedelta(seconds=10),
        tasks=tuple(tasks),
        taken=taken,
        children={child.run_id: child for child in children},
        checkpoints=len(tasks) + 1,
        error=error,
    )


_ASKED: dict[Edge, int] = {("__start__", "look_up", 0): 1, ("look_up", "rate", 0): 1, ("rate", "rate_choice", 0): 1}

SUSPECTED = run(
    FRAUD,
    "f" * 32,
    [task("ask", (2, 3), tokens=4000), task("weigh", (3, 4))],
    {("__start__", "ask", 0): 1, ("ask", "weigh", 0): 1, ("weigh", "__end__", 0): 1},
)
GOOD = run(
    CREDIT,
    "a" * 32,
    [task("look_up", (1, 2), tokens=1000), task("rate", (2, 2)), task("accept", (2, 3))],
    {**_ASKED, ("rate_choice", "accept", 0): 1, ("accept", "__end__", 0): 1},
)
ODD = run(
    CREDIT,
    "b" * 32,
    [
        task("look_up", (1, 2), attempts=2, tokens=1000),
        task("rate", (2, 2)),
        begun(task("fraud", (2, 4)), SUSPECTED.run_id),
    ],
    {**_ASKED, ("rate_choice", "fraud", 1): 1, ("fraud", "__end__", 0): 1},
    SUSPECTED,
)
BROKEN = run(
    CREDIT,
    "c" * 32,
    [task("look_up", (1, 5), status="failed", attempts=3, error="builtins.ConnectionError: no line")],
    {("__start__", "look_up", 0): 1},
    status="failed",
    error="ConnectionError: no line",
)
_IN_BROKEN = f"NodeError: In run '{BROKEN.run_id}': Node 'look_up' failed on all 3 attempts: ConnectionError: no line"

FAILED_BATCH = run(
    BATCH,
    "monday",
    [
        task("split", (0, 1)),
        begun(task("check", (1, 3), index=0), GOOD.run_id),
        begun(task("check", (1, 4), visit=2, index=1), ODD.run_id),
        begun(task("check", (1, 5), visit=3, index=2, status="failed", error=_IN_BROKEN), BROKEN.run_id),
    ],
    {
        ("__start__", "split", 0): 1,
        ("split", "split_each_check", 0): 1,
        ("split_each_check", "check", 0): 3,
        ("check", "check_outcome", 0): 2,
        ("check_outcome", "collect", 1): 2,
    },
    GOOD,
    ODD,
    BROKEN,
    status="failed",
    error=_IN_BROKEN,
)
"""A map of three, of which the last one failed inside."""

RESCUED_BATCH = replace(
    FAILED_BATCH,
    status="completed",
    error=None,
    tasks=(
        *FAILED_BATCH.tasks[:-1],
        replace(FAILED_BATCH.tasks[-1], status="caught"),
        task("help", (5, 6)),
    ),
    taken={
        **FAILED_BATCH.taken,
        ("check", "check_outcome", 0): 3,
        ("check_outcome", "help", 0): 1,
        ("help", "collect", 0): 1,
        ("collect", "__end__", 0): 1,
    },
    joins=(JoinTrace(node="collect", items=3, fired=1),),
)


def grown(levels: int) -> Trace:
    """A run of TREE with so many more inside one another."""
    taken: dict[Edge, int] = {("__start__", "grow", 0): 1, ("grow", "below", 0): 1, ("below", "__end__", 0): 1}
    inner = run(TREE, f"tree-{levels}", [task("grow", (levels, levels + 1))], {("__start__", "grow", 0): 1})
    for level in range(levels - 1, -1, -1):
        tasks = [task("grow", (level, level + 1)), begun(task("below", (level, 10)), inner.run_id)]
        inner = run(TREE, f"tree-{level}", tasks, taken, inner)
    return inner


_short = hostile.map(lambda text: text[:30])


@st.composite
def hostile_nests(draw: st.DrawFn, levels: int = 2) -> Definition:
    """A small definition with hostile names, some of whose nodes run others."""
    ids = [one for one in draw(st.lists(_short, min_size=1, max_size=3, unique=True)) if one not in ENDS]
    inner = st.none() | st.just(Definition("", 1, (), ())) | hostile_nests(levels - 1) if levels else st.none()
    kinds = st.sampled_from(("function", "workflow", "workflow", "decision", "map"))
    nodes: list[DefinedNode] = []
    for id_ in ids:
        child, kind = draw(inner), draw(kinds)
        named = runs(id_, child, name=draw(_short)) if kind == "workflow" else node(id_, kind)
        nodes.append(replace(named, label=draw(st.none() | _short)))
    ways = st.tuples(st.sampled_from([ENDS[0], *ids]), st.sampled_from([*ids, ENDS[1]]))
    edges = [
        edge(source, target, number, draw(st.none() | _short), error=draw(st.booleans()))
        for number, (source, target) in enumerate(draw(st.lists(ways, min_size=1, max_size=6)))
    ]
    return definition(nodes, edges, draw(_short))


@st.composite
def hostile_families(draw: st.DrawFn, levels: int = 2) -> Trace:
    """A run of such a definition with any tasks, possible or not, some of which drive others."""
    of = draw(hostile_nests(1))
    ids = [one.id for one in of.nodes]
    children: list[Trace] = []
    tasks: list[TaskTrace] = []
    for number in range(draw(st.integers(0, 3))):
        run_id = f"{draw(_short)}{levels}{number}"
        child = draw(st.none() | hostile_families(levels - 1)) if levels else None
        children += [replace(child, run_id=run_id)] if child is not None else []
        status = draw(st.sampled_from(get_args(TaskStatus)))
        one = task(draw(st.sampled_from(ids)), (0, 1), visit=number + 1, status=status, error=draw(st.none() | _short))
        tasks.append(begun(one, run_id) if draw(st.booleans()) else one)
    taken = {(one.source, one.target, one.branch): draw(st.integers(0, 2)) for one in of.edges}
    return run(of, draw(_short), tasks, taken, *children, status=draw(st.sampled_from(get_args(RunStatus))))
