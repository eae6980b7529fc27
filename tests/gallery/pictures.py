"""The pictures of the gallery: the ready-made workflows and examples as they are declared, and real runs of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import examples.expenses as expenses
import examples.leave as leave
import examples.orders as orders
from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.trace import Trace
from milepost.engine.workflow import Workflow
from milepost.visualize.changes import changed
from milepost.visualize.comparison import definition_of
from milepost.visualize.diagram import Diagram
from milepost.visualize.dot import dot
from milepost.visualize.fork_page import lanes
from milepost.visualize.forks import git_graph
from milepost.visualize.mermaid import mermaid
from milepost.visualize.parting import parted
from milepost.visualize.render import picture, render
from milepost.visualize.svg import svg
from milepost.workflows.builder import WorkflowBuilder
from milepost.workflows.contract_review.clauses import Contract
from milepost.workflows.contract_review.graph import review_workflow
from tests.gallery.pace import paced

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "gallery"

LEASE: Final = """
1. Rent. The tenant pays 900 a month, on the first working day.
2. Deposit. The landlord may keep the deposit at its sole discretion.
3. Term. The lease runs for one year and renews automatically unless it is ended in writing.
4. Repairs. The landlord repairs the roof, the walls and the heating.
5. Liability. The tenant shall indemnify the landlord against any and all claims.
6. Law. The law of the place where the house stands applies.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One picture. source: all that it is drawn from, as Mermaid or, of a timeline, as SVG. paint: draws the SVG.

    digest: of what Graphviz is given for it, "" where the SVG is drawn by ourselves, whatever is installed.
    """

    name: str
    title: str
    about: str
    source: str
    paint: Callable[[], str]
    digest: str = ""


def of_diagram(name: str, title: str, about: str, diagram: Diagram) -> Drawn:
    """Return a picture that Graphviz lays out: the same text lays out otherwise with every version of it."""
    given = "".join(dot(diagram, theme) for theme in ("light", "dark"))
    digest = blake2b(given.encode(), digest_size=16).hexdigest()
    source = mermaid(diagram, "auto")
    return Drawn(name=name, title=title, about=about, source=source, paint=lambda: svg(diagram, "auto"), digest=digest)


def declared(name: str, title: str, about: str, workflow: Workflow[Any, Any, Any, Any]) -> Drawn:
    return of_diagram(name, title, about, picture(workflow))


def ran(name: str, title: str, about: str, trace: Trace) -> Drawn:
    return of_diagram(name, title, about, picture(paced(trace)))


async def drawn() -> AsyncIterator[Drawn]:
    """Yield every picture, in the order of the page."""
    yield declared(
        "contract-review",
        "A map of agents, and a decision",
        "The ready-made review of a contract: every clause goes to an agent, what is risky to a second one.",
        review_workflow(),
    )
    yield declared(
        "expenses", "A map, a decision and a join", "Expense claims, of `examples/expenses.py`.", expenses.workflow
    )
    yield declared(
        "orders",
        "A workflow inside another, retries and an error edge",
        "Orders, of `examples/orders.py`: if the card is refused, an invoice is written; shipping is a workflow.",
        orders.workflow,
    )
    yield declared(
        "leave",
        "A person is asked",
        "Requests for leave, of `examples/leave.py`: a long one is decided by somebody.",
        leave.workflow,
    )
    async with Engine("memory://", max_concurrency=1) as engine:
        async for one in _reviews(engine):
            yield one
        async for one in _leaves():
            yield one
        async for one in _orders(engine):
            yield one


async def _reviews(engine: Engine) -> AsyncIterator[Drawn]:
    review = review_workflow()
    run = await engine.start(review, inputs=Contract(title="Lease", text=LEASE), run_id="lease")
    await run.result()
    trace = await engine.trace("lease")
    yield ran("run-mapped", "Completed: six clauses side by side", "Each cell is one clause, with what it cost.", trace)
    timeline = render(paced(trace), "timeline", theme="auto")
    yield Drawn(
        name="timeline",
        title="The same run as a timeline",
        about="What ran when; the critical path is marked.",
        source=render(paced(trace), "gantt", theme="auto"),
        paint=lambda: timeline,
    )
    claim = expenses.Claim.model_validate_json((ROOT / "examples" / "expenses.json").read_text("utf-8"))
    run = await engine.start(expenses.workflow, inputs=claim, run_id="oslo")
    await run.result()
    yield ran(
        "run-decided",
        "Completed: what decided, and how often",
        "The hotel was looked at again; the deciding values stand on the edges.",
        await engine.trace("oslo"),
    )


async def _leaves() -> AsyncIterator[Drawn]:
    store = MemoryStore()
    async with Engine(store) as engine:
        run = await engine.start(leave.workflow, inputs=leave.Request(person="Ada", days=12), run_id="ada-12")
        await run.settle()
        trace = await engine.trace("ada-12")
        yield ran("run-waiting", "Waiting for a person", "No process has to live while it waits.", trace)
    async with Engine(store) as engine:
        await engine.answer("ada-12", "decide", leave.Decision(granted=True), by="Grace")
        run = await engine.resume("ada-12", leave.workflow)
        await run.result()
        trace = await engine.trace("ada-12")
        yield ran("run-answered", "The same run, answered", "Another process went on with it.", trace)


async def _orders(engine: Engine) -> AsyncIterator[Drawn]:
    whole = orders.Order.model_validate_json((ROOT / "examples" / "orders.json").read_text("utf-8"))
    async with _ordered(engine, "order-17", whole) as trace:
        yield ran(
            "run-nested",
            "Completed after a retry, with a run inside",
            "The bank did not answer at first; shipping is a run of its own, drawn open.",
            trace,
        )
    async with _ordered(engine, "order-18", whole.model_copy(update={"card": "refused"})) as trace:
        yield ran(
            "run-caught",
            "A failure that was caught",
            "The card was refused, and the error edge led to an invoice.",
            trace,
        )
    async with _ordered(engine, "order-19", whole.model_copy(update={"card": "good", "address": ""})) as trace:
        yield ran(
            "run-failed",
            "Failed, two levels deep",
            "The failure is named in the title, down to the node inside the run inside the run.",
            trace,
        )
    for origin, at, run_id, desk in (
        ("order-17", 4, "order-17-refused", {"card": "refused"}),
        ("order-19", 5, "order-19-sent", {"address": "12 Analytical Row"}),
        ("order-17-refused", 7, "order-17-moved", {"address": "3 St James's Square"}),
    ):
        then = await engine.at(origin, at, workflow=orders.workflow)
        state = then.state.model_copy(update=desk)
        fork = await engine.fork(origin, orders.workflow, at=at, state=state, run_id=run_id)
        await fork.result()
    yield ran(
        "run-forked",
        "A fork, with another state",
        "What it shares with the failed run was not done again.",
        await engine.trace("order-19-sent"),
    )
    traces = [paced(await engine.trace(run_id)) for run_id in ("order-17", "order-17-refused")]
    found = await engine.diff("order-17", "order-17-refused")
    yield of_diagram(
        "two-runs",
        "Two runs, and where they part",
        "`milepost diff order-17 order-17-refused --format svg`",
        parted(traces[0], traces[1], found),
    )
    yield of_diagram(
        "two-versions",
        "Two versions of a workflow",
        "`milepost render TARGET --against TARGET --format svg`: the error edge is new.",
        changed(definition_of(earlier_orders()), definition_of(orders.workflow)),
    )
    family = await engine.family("order-17")
    tree = lanes(family, "order-17", "auto")
    yield Drawn(
        name="forks",
        title="Which run was forked from which",
        about="`milepost tree order-17 --format svg`",
        source=git_graph(family, "auto"),
        paint=lambda: tree,
    )


@asynccontextmanager
async def _ordered(engine: Engine, run_id: str, order: orders.Order) -> AsyncGenerator[Trace]:
    """Run an order to its end, however that is, and give what it did."""
    run = await engine.start(orders.workflow, inputs=order, run_id=run_id)
    try:
        await run.result()
    except NodeError:
        assert not order.address  # only such an order fails
    yield await engine.trace(run_id)


def earlier_orders() -> Workflow[orders.Desk, None, orders.Order, orders.Receipt]:
    """Return the orders as they were before anybody thought of invoices."""
    wf = WorkflowBuilder(
        name="orders", version=0, state_type=orders.Desk, input_type=orders.Order, output_type=orders.Receipt
    )
    wf.edge(wf.start_node, orders.take)
    wf.edge(orders.take, wf.each(orders.reserve))
    wf.edge(orders.reserve, orders.reserved)
    wf.edge(orders.reserved, orders.charge)
    wf.edge(orders.charge, orders.pack)
    wf.edge(orders.pack, orders.send)
    wf.edge(orders.send, orders.confirm)
    wf.edge(orders.confirm, wf.end_node)
    return wf.build()
