"""Workflows and runs to draw, written down as plain values, and labels that break things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from hypothesis import strategies as st

from milepost.engine.definition import DefinedEdge, DefinedNode, Definition
from milepost.engine.trace import Edge, JoinTrace, RunStatus, TaskStatus, TaskTrace, Trace, Usage

START: Final = datetime(2026, 3, 4, 12, 4, 31, tzinfo=UTC)


def node(id_: str, kind: str = "function", *marks: str, generated: bool = False, doc: str = "") -> DefinedNode:
    return DefinedNode(id=id_, kind=kind, marks=marks, generated=generated, doc=doc)


def edge(
    source: str, target: str, branch: int = 0, label: str | None = None, type_: str = "", *, error: bool = False
) -> DefinedEdge:
    return DefinedEdge(source=source, target=target, branch=branch, label=label, type=type_, error=error)


def definition(nodes: list[DefinedNode], edges: list[DefinedEdge], name: str = "sample") -> Definition:
    """Put start and end around some nodes."""
    return Definition(name, 1, (node("__start__", "start"), node("__end__", "end"), *nodes), tuple(edges))


CLAIMS: Final = Definition(
    "claims",
    3,
    (
        node("__start__", "start"),
        node("__end__", "end"),
        node("prepare", doc="Load the contract and split its clauses"),
        node("analyse", "agent", "retry ≤ 3", "timeout 60 s"),
        node("triage", "decision"),
        node("triage_choice", "decision", generated=True),
        node("high_risk", doc="Build the escalation brief"),
        node("normal", doc="Take the standard checklist"),
        node("gather"),
        node("gather_each_review", "map", generated=True),
        node("review", "agent", "retry ≤ 2"),
        node("collect", "join"),
        node("score", doc="Weigh the findings"),
        node("score_decision", "decision", generated=True),
        node("accept"),
        node("reject"),
    ),
    (
        edge("__start__", "prepare", type_="Claim"),
        edge("prepare", "analyse", type_="Prepared"),
        edge("analyse", "triage", type_="Analysis"),
        edge("triage", "triage_choice"),
        edge("triage_choice", "high_risk", 0, "high", "Analysis"),
        edge("triage_choice", "normal", 1, "normal", "Analysis"),
        edge("triage_choice", "analyse", 2, "unclear", "Analysis"),
        edge("high_risk", "gather"),
        edge("normal", "gather"),
        edge("gather", "gather_each_review", type_="list[Clause]"),
        edge("gather_each_review", "review", type_="Clause"),
        edge("review", "collect", type_="Finding"),
        edge("collect", "score", type_="list[Finding]"),
        edge("score", "score_decision", type_="Score"),
        edge("score_decision", "reject", 0, "score < 0.3", "Score"),
        edge("score_decision", "accept", 1, "otherwise", "Score"),
        edge("accept", "__end__", type_="Verdict"),
        edge("reject", "__end__", type_="Verdict"),
    ),
)
"""An agent, a decision, a loop, a map, a join and conditional edges."""


def task(
    node_id: str,
    span: tuple[float, float | None] | None,
    *,
    visit: int = 1,
    status: TaskStatus = "completed",
    attempts: int = 1,
    index: int | None = None,
    error: str | None = None,
    tokens: int = 0,
) -> TaskTrace:
    """Write down a task; span: seconds after the start of the run."""
    finished = span[1] if span else None
    return TaskTrace(
        key=f"{node_id} {visit}",
        node=node_id,
        visit=visit,
        status=status,
        attempts=attempts,
        index=index,
        started=START + timedelta(seconds=span[0]) if span else None,
        finished=START + timedelta(seconds=finished) if finished is not None else None,
        error=error,
        usage=Usage(requests=1, input_tokens=tokens, cost=tokens / 100_000) if tokens else None,
    )


_HEAD: Final = (
    task("prepare", (0, 0.3)),
    task("analyse", (0.3, 12.3), attempts=2, tokens=6000),
    task("triage", (12.3, 12.31)),
    task("analyse", (12.4, 21.7), visit=2, tokens=5000),
    task("triage", (21.7, 21.71), visit=2),
    task("high_risk", (21.8, 23.0)),
    task("gather", (23.0, 23.02)),
)
_TAKEN: Final[dict[Edge, int]] = {
    ("__start__", "prepare", 0): 1,
    ("prepare", "analyse", 0): 1,
    ("analyse", "triage", 0): 2,
    ("triage", "triage_choice", 0): 2,
    ("triage_choice", "high_risk", 0): 1,
    ("triage_choice", "analyse", 2): 1,
    ("high_risk", "gather", 0): 1,
    ("gather", "gather_each_review", 0): 1,
    ("gather_each_review", "review", 0): 3,
}
_CHOSEN: Final[dict[Edge, str]] = {
    ("triage_choice", "high_risk", 0): "'high'",
    ("triage_choice", "analyse", 2): "unclear",
}

COMPLETED: Final = Trace(
    run_id="8f3a21",
    status="completed",
    definition=CLAIMS,
    created=START,
    updated=START + timedelta(seconds=60),
    checkpoints=14,
    output='{"ok":true}',
    tasks=(
        *_HEAD,
        *(task("review", (24 + i, 30 + i), visit=i + 1, index=i, attempts=1 + (i == 2), tokens=4000) for i in range(3)),
        task("score", (33, 33.4)),
        task("accept", (33.5, 34)),
    ),
    taken={
        **_TAKEN,
        ("review", "collect", 0): 3,
        ("collect", "score", 0): 1,
        ("score", "score_decision", 0): 1,
        ("score_decision", "accept", 1): 1,
        ("accept", "__end__", 0): 1,
    },
    chosen={**_CHOSEN, ("score_decision", "accept", 1): "Score(value=0.83)"},
    joins=(JoinTrace(node="collect", items=3, fired=1),),
)

FAILED: Final = Trace(
    run_id="8f3a21",
    status="failed",
    definition=CLAIMS,
    created=START,
    updated=START + timedelta(seconds=40),
    checkpoints=9,
    error="Node 'review' failed on all 2 attempts: ValueError: no weight",
    tasks=(
        *_HEAD,
        task("review", (24, 30), index=0, tokens=4000),
        task("review", (25, 33), visit=2, index=1, status="failed", attempts=2, error="ValueError: no weight"),
        task("review", (26, 33), visit=3, index=2, status="cancelled"),
    ),
    taken={**_TAKEN, ("review", "collect", 0): 1},
    chosen=_CHOSEN,
    joins=(JoinTrace(node="collect", items=1, fired=0),),
)

ORDERS: Final = Definition(
    "orders",
    1,
    (
        node("__start__", "start"),
        node("__end__", "end"),
        node("split"),
        node("split_each_charge", "map", generated=True),
        node("charge"),
        node("refund"),
        node("note"),
        node("collect", "join"),
        node("size", "decision"),
        node("guess"),
        node("Ship"),
        node("Wait"),
        node("size_choice", "decision", generated=True),
        node("Ship_decision", "decision", generated=True),
        node("charge_outcome", "decision", generated=True),
        node("size_outcome", "decision", generated=True),
        node("Ship_outcome", "decision", generated=True),
    ),
    (
        edge("__start__", "split"),
        edge("split", "split_each_charge"),
        edge("split_each_charge", "charge"),
        edge("charge", "charge_outcome", type_="str"),
        edge("charge_outcome", "refund", 0, "TimeoutError", "Failure[int]", error=True),
        edge("charge_outcome", "note", 1, "on error", "Failure[int]", error=True),
        edge("charge_outcome", "collect", 2, type_="str"),
        edge("refund", "collect"),
        edge("note", "collect"),
        edge("collect", "size"),
        edge("size", "size_outcome"),
        edge("size_outcome", "guess", 0, "OSError", error=True),
        edge("size_outcome", "size_choice", 1),
        edge("size_choice", "Ship", 0, "large"),
        edge("size_choice", "__end__", 1, "small"),
        edge("guess", "__end__"),
        edge("Ship", "Ship_outcome"),
        edge("Ship_outcome", "guess", 0, "on error", error=True),
        edge("Ship_outcome", "Ship_decision", 1),
        edge("Ship_decision", "Wait", 0),
        edge("Ship_decision", "__end__", 1),
        edge("Wait", "__end__"),
    ),
)
"""A map, a decide node and a class with error edges."""

RESCUED: Final = Trace(
    run_id="8f3a21",
    status="completed",
    definition=ORDERS,
    created=START,
    updated=START + timedelta(seconds=60),
    tasks=(
        task("split", (0, 1)),
        task("charge", (1, 2), index=0),
        task("charge", (1, 4), visit=2, index=1, status="caught", attempts=2, error="builtins.TimeoutError: gateway"),
        task("charge", (1, 3), visit=3, index=2),
        task("refund", (4, 5)),
        task("size", (5, 6)),
        task("Ship", (6, 7)),
        task("Wait", (7, 8)),
    ),
    taken={
        ("__start__", "split", 0): 1,
        ("split", "split_each_charge", 0): 1,
        ("split_each_charge", "charge", 0): 3,
        ("charge", "charge_outcome", 0): 3,
        ("charge_outcome", "refund", 0): 1,
        ("charge_outcome", "collect", 2): 2,
        ("refund", "collect", 0): 1,
        ("collect", "size", 0): 1,
        ("size", "size_outcome", 0): 1,
        ("size_outcome", "size_choice", 1): 1,
        ("size_choice", "Ship", 0): 1,
        ("Ship", "Wait", 0): 1,
        ("Wait", "__end__", 0): 1,
    },
    chosen={("size_choice", "Ship", 0): "large"},
    joins=(JoinTrace(node="collect", items=3, fired=1),),
)
"""One item failed and was rescued by a handler; the class named the next one itself."""

RUNNING: Final = Trace(
    run_id="8f3a21",
    status="running",
    definition=CLAIMS,
    created=START,
    updated=START + timedelta(seconds=40),
    checkpoints=9,
    tasks=(
        *_HEAD,
        task("review", (24, 30), index=0),
        task("review", (25, None), visit=2, index=1, status="running"),
        task("review", None, visit=3, index=2, status="pending", attempts=0),
    ),
    taken={**_TAKEN, ("review", "collect", 0): 1},
    chosen=_CHOSEN,
    joins=(JoinTrace(node="collect", items=1, fired=0),),
)

NASTY: Final = (
    "",
    " ",
    "end",
    "graph",
    "subgraph",
    "__proto__",
    "constructor",
    'say "hi"',
    "it's",
    "a [b] (c) {d}",
    "<b>bold</b>",
    "<script>alert(1)</script>",
    "<br>",
    "&lt; &amp; &#35; #35; #quot;",
    "first\nsecond\nthird",
    "\n",
    "C:\\New\\Table \\N \\G \\l \\",
    "%%{init: {}}%% %% comment",
    "--> -.-> ==> ~~~",
    "a---oB",
    "x | y",
    "1. one",
    "- item",
    "# head",
    "**b** _i_ `c`",
    "$$x^2$$",
    "fa:fa-user",
    "::: class",
    "; semicolon",
    "👩‍🚀 🎉 e\u0301",
    "\u200f\u05e9\u05dc\u05d5\u05dd \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u202e rtl",
    "提取 текст ελ",
    "tab\tand\x00nul\x1b[31m",
    "\ud800 half",
    "\ufffe\uffff",
    "]]>",
    "]",
    "[",
    "a[1]",
    "x" * 500,
    "ab cd\n" * 100,
    "🎉" * 500,
    '"]]:::x\nclick n_a href "javascript:alert(1)"',
    "---\ntitle: x\n---",
    '<img src="x" onerror="document.documentElement.dataset.ran=1">',
    "<svg/onload=document.documentElement.dataset.ran=1>",
    '<a href="javascript:document.documentElement.dataset.ran=1">x</a>',
    "${document.documentElement.dataset.ran=1} {{7*7}}",
)

hostile = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=40),
    st.text(alphabet="\"'`\\<>[](){}|&#;:%_*-=~$@!/.\n 1aéש😀", max_size=40),
    st.lists(st.sampled_from(NASTY), min_size=2, max_size=3).map(" ".join),
)
"""A label that a person, or somebody worse, could write."""


@st.composite
def hostile_definitions(draw: st.DrawFn) -> Definition:
    """A definition of every kind of node whose ids, labels, docs, marks, types and conditions are hostile."""
    kinds = ["function", "agent", "decision", "join", "map", "ask", "wait", "sleep", "race", "function", "broadcast"]
    ids = draw(st.lists(hostile, min_size=2, max_size=len(kinds), unique=True))
    ids = [id_ for id_ in ids if id_ not in ("__start__", "__end__")]
    text = st.none() | hostile
    nodes = [
        DefinedNode(
            id=id_,
            kind=kind,
            label=draw(text),
            doc=draw(hostile),
            marks=tuple(draw(st.lists(hostile, max_size=1))),
            input=draw(hostile),
            generated=draw(st.booleans()),
        )
        for id_, kind in zip(ids, kinds, strict=False)
    ]
    everywhere = ["__start__", *ids, "__end__"]
    ways = st.tuples(st.sampled_from(everywhere[:-1]), st.sampled_from(everywhere[1:]))
    edges = [
        edge(source, target, number, draw(text), draw(hostile), error=draw(st.booleans()))
        for number, (source, target) in enumerate(draw(st.lists(ways, min_size=1, max_size=10)))
    ]
    return definition(nodes, edges, draw(hostile))


@st.composite
def hostile_traces(draw: st.DrawFn) -> Trace:
    """A run of a hostile definition, with any tasks, statuses and values, possible or not."""
    defined = draw(hostile_definitions())
    ids = [item.id for item in defined.nodes]
    statuses = st.sampled_from(get_args(TaskStatus))
    tasks = [
        task(
            draw(st.sampled_from(ids)),
            draw(st.sampled_from((None, (0.0, 1.0), (1.0, None)))),
            visit=number + 1,
            status=draw(statuses),
            attempts=draw(st.integers(0, 3)),
            index=draw(st.none() | st.integers(0, 9)),
            error=draw(st.none() | hostile),
            tokens=draw(st.integers(0, 10_000_000)),
        )
        for number in range(draw(st.integers(0, 20)))
    ]
    edges = [(item.source, item.target, item.branch) for item in defined.edges]
    return Trace(
        run_id=draw(hostile),
        status=draw(st.sampled_from(get_args(RunStatus))),
        definition=defined,
        created=START,
        updated=START + timedelta(seconds=draw(st.integers(0, 10**7))),
        tasks=tuple(tasks),
        taken={way: draw(st.integers(0, 5)) for way in edges},
        chosen={way: draw(hostile) for way in edges},
        error=draw(st.none() | hostile),
        output=draw(st.none() | hostile),
    )
