"""Two runs and two versions that differ, and what the engine says of two traces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from milepost.engine.comparing import Outcome, Point, Told, compared
from milepost.engine.definition import Definition
from milepost.engine.difference import Difference
from milepost.engine.stores.store import RunRow
from milepost.engine.trace import Trace
from tests.visualize.subjects import CLAIMS, COMPLETED, START, edge, node, task

NO_OUTCOMES: Final[Mapping[str, str]] = {}


def difference(
    one: Trace,
    other: Trace,
    first: Mapping[str, str] = NO_OUTCOMES,
    second: Mapping[str, str] = NO_OUTCOMES,
    *,
    shared: int = 0,
) -> Difference:
    """Return what the engine says of two runs. first, second: what their tasks came to, by key, JSON text."""
    sides = [
        Told(
            Point(_row(trace), trace.checkpoints),
            replace(trace, output=None),
            {key: Outcome(text) for key, text in texts.items()},
            None,
        )
        for trace, texts in ((one, first), (other, second))
    ]
    return compared(sides[0], sides[1], shared)


def _row(trace: Trace) -> RunRow:
    return RunRow(
        run_id=trace.run_id,
        workflow=trace.definition.name,
        version=trace.definition.version,
        fingerprint=trace.definition.fingerprint,
        status=trace.status,
        isolation="task",
        created=START.timestamp(),
        updated=START.timestamp(),
        seq=trace.checkpoints,
        hash="",
        snapshot_seq=0,
        epoch=1,
        owner=None,
        error=trace.error,
        output=trace.output,
    )


def _newer() -> Definition:
    """Return the claims with a node less and one more, two that are declared otherwise, and another condition."""
    nodes = [one for one in CLAIMS.nodes if one.id != "normal"]
    nodes = [replace(one, marks=("retry ≤ 5", "timeout 60 s")) if one.id == "analyse" else one for one in nodes]
    nodes = [replace(one, kind="agent") if one.id == "high_risk" else one for one in nodes]
    edges = [one for one in CLAIMS.edges if "normal" not in (one.source, one.target)]
    edges = [replace(one, label="score < 0.5") if one.target == "reject" else one for one in edges]
    more = (edge("triage_choice", "translate", 1, "foreign"), edge("translate", "gather"))
    return replace(
        CLAIMS,
        version=4,
        nodes=(*nodes, node("translate", doc="Translate the clauses")),
        edges=(*edges[:5], *more, *edges[5:]),
    )


NEWER: Final = _newer()

_KEPT: Final = ("prepare", "analyse", "triage", "gather", "review", "score")
OTHER: Final = replace(
    COMPLETED,
    run_id="77aa02",
    tasks=(
        *(one for one in COMPLETED.tasks if one.node in _KEPT),
        task("normal", (21.8, 23.0)),
        task("reject", (33, 34)),
    ),
    taken={
        **{way: times for way, times in COMPLETED.taken.items() if not {"high_risk", "accept"} & {*way[:2]}},
        ("triage_choice", "normal", 1): 1,
        ("normal", "gather", 0): 1,
        ("score_decision", "reject", 0): 1,
        ("reject", "__end__", 0): 1,
    },
    chosen={("triage_choice", "normal", 1): "normal", ("score_decision", "reject", 0): "Score(value=0.1)"},
)
"""The run that was completed, on another way."""

APART: Final = difference(
    COMPLETED, OTHER, {"score 1": '{"value":0.83}', "prepare 1": "1"}, {"score 1": '{"value":0.1}', "prepare 1": "1"}
)
