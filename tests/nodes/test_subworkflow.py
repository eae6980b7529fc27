"""A sub-workflow node runs a workflow: what its author says of it, what it gets, and what cannot work."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Lock
from types import NoneType
from typing import Any

import pydantic_graph
import pytest

from milepost.engine.errors import InputError, NodeError, UnsoundWorkflow, WorkflowError
from milepost.engine.policy import Retry
from milepost.engine.spec import UNKNOWN, NodeKind, NodeSpec
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio

AnyWorkflow = Workflow[Any, Any, Any, Any]
STORES = pytest.mark.parametrize("store", [None, "memory:"])


@dataclass
class Prices:
    """What a child wants."""

    rate: int = 2
    asked: list[int] = field(default_factory=list[int])


@dataclass
class Shop:
    """What a parent has."""

    prices: Prices = field(default_factory=Prices)


@dataclass
class Tally:
    seen: list[int] = field(default_factory=list[int])


@dataclass
class Owned:
    owner: str
    seen: list[int] = field(default_factory=list[int])


@dataclass
class Handle:
    lock: Any = field(default_factory=Lock)


def pricing(*, state_type: Any = NoneType, deps: Any = None, name: str | None = "pricing") -> AnyWorkflow:
    """A child that multiplies its input by a rate and notes it in its state, if it has one."""
    wf: WorkflowBuilder[Any, Any, int, int] = WorkflowBuilder(
        name=name, state_type=state_type, deps_type=Prices, input_type=int, output_type=int, deps=deps
    )

    @wf.function
    async def price(ctx: StepContext[Any, Any, int]) -> int:
        ctx.deps.asked.append(ctx.inputs)
        if ctx.state is not None and hasattr(ctx.state, "seen"):
            ctx.state.seen.append(ctx.inputs)
        rate: int = ctx.deps.rate
        return ctx.inputs * rate

    wf.edge(wf.start_node, price)
    wf.edge(price, wf.end_node)
    return wf.build()


def doubling(name: str | None = "doubling") -> Workflow[None, None, int, int]:
    """A child that wants nothing but its input."""
    wf = WorkflowBuilder(name=name, input_type=int, output_type=int)

    @wf.function
    async def double(ctx: StepContext[None, None, int]) -> int:
        if ctx.inputs < 0:
            raise ValueError("less than nothing")
        return ctx.inputs * 2

    wf.edge(wf.start_node, double)
    wf.edge(double, wf.end_node)
    return wf.build()


PRICING, DOUBLING = pricing(), doubling()


def parent(child: Any, *, deps_type: Any = Shop, state_type: Any = NoneType, **options: Any) -> AnyWorkflow:
    """A workflow of one node that runs another."""
    wf: WorkflowBuilder[Any, Any, int, int] = WorkflowBuilder(
        name="parent", state_type=state_type, deps_type=deps_type, input_type=int, output_type=int
    )
    inner: Any = wf.subworkflow(child, **options)
    wf.edge(wf.start_node, inner)
    wf.edge(inner, wf.end_node)
    return wf.build()


def spec_of(child: Any, **options: Any) -> NodeSpec:
    return next(spec for spec in parent(child, **options).specs.values() if spec.kind is NodeKind.WORKFLOW)


def as_prices(ctx: StepContext[Any, Shop, int]) -> Prices:
    return ctx.deps.prices


def one_more(ctx: StepContext[Any, Any, int]) -> int:
    return ctx.inputs + 1


def as_state(ctx: StepContext[Owned, Any, int]) -> Owned:
    return ctx.state


def as_handle(ctx: StepContext[Any, Any, int]) -> Handle:
    return Handle()


def no_deps(ctx: StepContext[Any, Any, int]) -> Any:
    return None


def nowhere() -> AnyWorkflow:
    raise KeyError("nothing here")


# --- what is known of the node ----------------------------------------------------------------------------------------


def test_the_node_takes_and_gives_what_its_workflow_does() -> None:
    spec = spec_of(PRICING, deps=as_prices, label="The price")
    assert (spec.id, spec.input_type, spec.output_type, spec.label) == ("pricing", int, int, "The price")
    assert spec.child is not None
    assert spec.child.find() is PRICING


def test_a_function_says_by_its_annotation_what_its_workflow_takes_and_gives() -> None:
    def later() -> Workflow[None, None, int, int]:
        """What comes later."""
        return DOUBLING

    spec = spec_of(later)
    assert (spec.id, spec.input_type, spec.output_type, spec.doc) == ("later", int, int, "What comes later.")


def test_a_function_without_an_annotation_says_nothing() -> None:
    spec = spec_of(lambda: DOUBLING, node_id="inner")
    assert (spec.input_type, spec.unresolved) == (UNKNOWN, ())


def test_an_annotation_that_cannot_be_resolved_is_told() -> None:
    def later() -> Missing:  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore
        return DOUBLING

    def given(ctx: Missing) -> int:  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore
        return 1

    later_spec, given_spec = spec_of(later), spec_of(DOUBLING, inputs=given)
    assert later_spec.unresolved[0].startswith(
        "The return annotation of later(), which node 'later' runs, cannot be resolved: name 'Missing' is not defined."
    )
    assert given_spec.unresolved[0].startswith("The annotation of 'ctx' of node 'doubling' cannot be resolved")


def test_a_function_for_the_inputs_says_what_the_node_takes() -> None:
    def length(ctx: StepContext[None, None, str]) -> int:
        return len(ctx.inputs)

    with pytest.raises(UnsoundWorkflow, match="The edge from the start to 'doubling' brings int, but 'doubling' takes"):
        parent(DOUBLING, inputs=length)


# --- what the run gets ------------------------------------------------------------------------------------------------


@STORES
async def test_without_more_the_workflow_gets_the_inputs_and_deps_of_the_node(store: str | None) -> None:
    prices = Prices(3)
    assert await parent(PRICING, deps_type=Prices).run(inputs=5, deps=prices, store=store) == 15
    assert prices.asked == [5]


@STORES
async def test_inputs_state_and_deps_can_be_made_of_the_step_context(store: str | None) -> None:
    owned = Owned("Ann")
    workflow = parent(
        pricing(state_type=Owned),
        state_type=Owned,
        inputs=one_more,
        state=as_state,
        deps=as_prices,
    )
    shop = Shop()
    assert await workflow.run(inputs=5, state=owned, deps=shop, store=store) == 12
    assert shop.prices.asked == [6]
    assert owned == Owned("Ann"), "the state of the run inside is its own"


@STORES
async def test_a_state_that_is_not_given_is_made_from_its_type(store: str | None) -> None:
    tally = Tally()
    workflow = parent(pricing(state_type=Tally), state_type=Tally, deps=as_prices)
    assert await workflow.run(inputs=5, state=tally, deps=Shop(), store=store) == 10
    assert tally == Tally(), "nothing of the run inside is in the state of the outer one"


@STORES
async def test_a_workflow_that_makes_its_own_deps_does_so_where_the_node_has_none(store: str | None) -> None:
    closed: list[Prices] = []

    @asynccontextmanager
    async def prices() -> AsyncGenerator[Prices]:
        made = Prices(7)
        yield made
        closed.append(made)

    workflow = parent(pricing(deps=prices))
    assert await workflow.run(inputs=5, deps=Shop(), store=store) == 35
    assert [made.asked for made in closed] == [[5]]
    assert await parent(pricing(deps=prices), deps_type=Prices).run(inputs=5, deps=Prices(3), store=store) == 15


@STORES
async def test_a_state_that_cannot_be_copied_is_refused(store: str | None) -> None:
    workflow = parent(pricing(state_type=Handle), deps=as_prices, state=as_handle)
    with pytest.raises((WorkflowError, UnsoundWorkflow)) as refused:
        await workflow.run(inputs=5, deps=Shop(), store=store)
    if store is None:
        assert "Node 'pricing': what state= gives cannot be copied (TypeError: cannot pickle" in str(refused.value)


async def test_pydantic_graphs_own_executor_can_run_the_node() -> None:
    upstream: Any = pydantic_graph.Graph
    workflow = parent(PRICING, deps=as_prices)
    assert await upstream.run(workflow, inputs=5, deps=Shop()) == 10


@STORES
async def test_a_function_is_asked_for_the_workflow_once(store: str | None) -> None:
    calls: list[str] = []

    def later() -> Workflow[None, None, int, int]:
        calls.append("asked")
        return doubling()

    workflow = parent(later)
    assert calls == []
    assert [await workflow.run(inputs=number, deps=Shop(), store=store) for number in (1, 2)] == [2, 4]
    assert calls == ["asked"]


@STORES
async def test_the_node_has_a_policy_like_any_other(store: str | None) -> None:
    workflow = parent(DOUBLING, retry=Retry(attempts=2))
    with pytest.raises(NodeError) as failed:
        await workflow.run(inputs=-1, deps=Shop(), store=store)
    assert (failed.value.node, failed.value.attempt) == ("doubling", 2)


# --- what cannot work -------------------------------------------------------------------------------------------------


async def coroutine() -> AnyWorkflow:
    return DOUBLING


def demanding(what: str) -> AnyWorkflow:
    return DOUBLING


HOW = "Give what wf.build() or Workflow.from_graph() returns, or a function without arguments that returns it."
BLANK = {"node_id": "inner"}


@pytest.mark.parametrize(
    ("child", "options", "sentence"),
    [
        (5, {}, f"5 is no workflow to run. {HOW}"),
        (5, BLANK, f"Node 'inner' is given 5, which is no workflow. {HOW}"),
        (Tally, BLANK, f"Node 'inner' is given {Tally!r}, which is no workflow. {HOW}"),
        (coroutine, {}, f"Node 'coroutine' is given coroutine(), which is asynchronous. {HOW}"),
        (demanding, {}, f"Node 'demanding' is given demanding(), which takes arguments. {HOW}"),
        (doubling(None), {}, "has no name to be the id of its node. Give one with node_id=."),
        (lambda: DOUBLING, {}, "has no name of its own to be the id of its node. Give one with node_id=."),
        (DOUBLING, {"depth": 0}, "Node 'doubling': depth=0 would never let its workflow begin. Give 1 or more."),
        (DOUBLING, {"depth": True}, "Node 'doubling': depth=True would never let its workflow begin. Give 1 or more."),
        (
            DOUBLING,
            {"state": Tally()},
            (
                "Node 'doubling': state=Tally(seen=[]) is no function of the step context. "
                "Write state=lambda ctx: ..., so that every run gets its own."
            ),
        ),
        (
            DOUBLING,
            {"deps": coroutine},
            "Node 'doubling': deps=coroutine() is asynchronous. Put what has to be waited for into a node.",
        ),
        (DOUBLING, {"timeout": -1}, "Node 'doubling': a timeout of -1 seconds can never be met."),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_declared(child: Any, options: Any, sentence: str) -> None:
    with pytest.raises(WorkflowError) as refused:
        parent(child, **options)
    assert sentence in str(refused.value)


def wrong(ctx: StepContext[Any, Any, int]) -> bytes:
    return b""


def by_annotation() -> Workflow[Owned, None, int, int]:
    raise AssertionError


@pytest.mark.parametrize(
    ("child", "options", "sentence"),
    [
        (
            pricing(state_type=Owned),
            {"deps": as_prices},
            (
                "The workflow of node 'pricing' needs a state, and Owned has fields without a default. "
                "Say with state= where it comes from, or give every field a default."
            ),
        ),
        (by_annotation, {}, "The workflow of node 'by_annotation' needs a state, and Owned has fields"),
        (
            PRICING,
            {},
            (
                "The workflow of node 'pricing' needs deps of type Prices, and those of the node are Shop. "
                "Say with deps= where they come from."
            ),
        ),
        (
            DOUBLING,
            {"inputs": wrong},
            "inputs= of node 'doubling' gives bytes, but its workflow takes int. Change one of the two.",
        ),
        (PRICING, {"deps": wrong}, "deps= of node 'pricing' gives bytes, but its workflow takes Prices."),
        (
            pricing(state_type=Owned),
            {"deps": as_prices, "state": wrong},
            "state= of node 'pricing' gives bytes, but its workflow takes Owned.",
        ),
        (
            DOUBLING,
            {"at_most_once": True},
            (
                "Node 'doubling' cannot have at_most_once: its run goes on where it stopped. "
                "Give it to those nodes of the workflow whose effects must not come twice."
            ),
        ),
    ],
)
def test_what_a_run_would_not_get_is_a_fault_of_the_build(child: Any, options: Any, sentence: str) -> None:
    with pytest.raises(UnsoundWorkflow) as refused:
        parent(child, **options)
    assert sentence in str(refused.value)


@STORES
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (lambda: 5, f"Node 'inner' has no workflow to run: <lambda>() returned 5. {HOW}"),
        (
            nowhere,
            "Node 'inner' has no workflow to run, because nowhere() failed with KeyError: 'nothing here'.",
        ),
        (lambda: PRICING, "The workflow of node 'inner' needs deps of type Prices, and those of the node are Shop."),
        (lambda: pricing(state_type=Owned), "The workflow of node 'inner' needs a state, and Owned has fields without"),
    ],
)
async def test_what_is_wrong_with_the_workflow_of_a_function_is_told_when_it_is_needed(
    given: Any, sentence: str, store: str | None
) -> None:
    workflow = parent(given, node_id="inner")
    with pytest.raises(WorkflowError) as refused:
        await workflow.run(inputs=5, deps=Shop(), store=store)
    assert sentence in str(refused.value)


@STORES
async def test_deps_that_turn_out_to_be_missing_are_told(store: str | None) -> None:
    with pytest.raises(InputError, match="Workflow 'pricing' needs deps of type 'Prices'"):
        await parent(PRICING, deps=no_deps).run(inputs=5, deps=Shop(), store=store)
