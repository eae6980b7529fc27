"""Tasks change the state side by side: commit or nothing, conflicts, mergers, and the same answer in every order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel

from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError, NotStorable, StateConflict
from milepost.engine.mergers import add, append, last, merger, union
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.side_by_side import Order, run_side_by_side, side_by_side
from tests.engine.subjects import RUN, FullStore

pytestmark = pytest.mark.anyio


@merger
def longest(base: str, committed: str, mine: str) -> str:
    return max(committed, mine, key=lambda text: (len(text), text))


class Books(BaseModel):
    name: str = "start"
    count: Annotated[int, add] = 10
    notes: Annotated[list[str], append] = []
    tags: Annotated[set[str], union] = {"old", "older"}
    prices: Annotated[dict[str, int], union] = {"tea": 1}
    winner: Annotated[str, last] = ""
    title: Annotated[str, longest] = ""
    plain: list[str] = []


Change = Callable[[Books], None]


def noting(text: str) -> Change:
    return lambda state: state.notes.append(text)


def naming(text: str) -> Change:
    def change(state: Books) -> None:
        state.name = text

    return change


def counting(number: int) -> Change:
    def change(state: Books) -> None:
        state.count += number

    return change


async def ran(
    changes: dict[str, Change], order: tuple[str, ...], *, state: Books | None = None, faulty: str = ""
) -> Books:
    """Run side by side in one order. Returns the caller's state."""
    given = Books() if state is None else state
    named = {name: naming_itself(name, change) for name, change in changes.items()}
    assert await run_side_by_side(given, named, Order(order, faulty=faulty)) == sorted(changes)
    return given


def naming_itself(name: str, change: Change) -> Callable[[Books], str]:
    def changed(state: Books) -> str:
        change(state)
        return name

    return changed


both_orders = pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])


@both_orders
async def test_changes_of_different_fields_are_all_kept(order: tuple[str, ...]) -> None:
    state = await ran({"one": naming("new"), "two": lambda state: state.plain.append("x")}, order)

    assert (state.name, state.plain) == ("new", ["x"])


@both_orders
async def test_two_changes_of_one_field_are_a_conflict_in_every_order(order: tuple[str, ...]) -> None:
    with pytest.raises(StateConflict) as raised:
        await ran({"one": naming("a"), "two": naming("b")}, order)

    assert raised.value.field == "name"
    assert {raised.value.task, raised.value.other} == {"one", "two"}
    first, second = order
    texts = {"one": '"a"', "two": '"b"'}
    assert str(raised.value) == (
        f"Tasks {second!r} and {first!r} ran side by side and both changed the field 'name' of the state. "
        f'It was "start", {first!r} made it {texts[first]}, and {second!r} would make it {texts[second]}. '
        "Give it a merger, e.g. name: Annotated[..., last], or let only one of them write it."
    )


@both_orders
async def test_two_equal_changes_of_one_field_are_a_conflict_too(order: tuple[str, ...]) -> None:
    with pytest.raises(StateConflict):
        await ran(
            {"one": lambda state: state.plain.append("same"), "two": lambda state: state.plain.append("same")}, order
        )


async def test_a_conflict_is_found_after_a_crash_between_the_two() -> None:
    journals = Journals()
    workflow = side_by_side(Books, {"one": naming("a"), "two": naming("b")})
    with pytest.raises(Exception, match="The disk is full"):
        async with Engine(FullStore(journals, 3)) as engine:
            await (await engine.start(workflow, deps=Order(("one", "two")), run_id=RUN)).result()
    assert "name" in journals.records[RUN][2].body

    with pytest.raises(StateConflict, match="'name'"):
        async with Engine(MemoryStore(journals)) as engine:
            await (await engine.resume(RUN, workflow, deps=Order(("two",)))).result()


@both_orders
async def test_what_both_appended_is_there_once(order: tuple[str, ...]) -> None:
    state = await ran({"one": noting("a"), "two": noting("b")}, order, state=Books(notes=["first"]))

    assert state.notes == (["first", "a", "b"] if order[0] == "one" else ["first", "b", "a"])


@both_orders
async def test_differences_add_up(order: tuple[str, ...]) -> None:
    assert (await ran({"one": counting(5), "two": counting(-2)}, order)).count == 13


@both_orders
async def test_sets_gain_what_was_added_and_lose_what_was_removed(order: tuple[str, ...]) -> None:
    def swap(state: Books) -> None:
        state.tags.discard("old")
        state.tags.add("new")

    state = await ran({"one": swap, "two": lambda state: state.tags.add("other")}, order)

    assert state.tags == {"older", "new", "other"}


@both_orders
async def test_dicts_gain_the_keys_of_both(order: tuple[str, ...]) -> None:
    state = await ran(
        {"one": lambda state: state.prices.update(milk=2), "two": lambda state: state.prices.update(tea=9)}, order
    )

    assert state.prices == {"tea": 9, "milk": 2}


@both_orders
async def test_the_last_to_commit_wins_where_that_was_declared(order: tuple[str, ...]) -> None:
    def win(name: str) -> Change:
        def change(state: Books) -> None:
            state.winner = name

        return change

    assert (await ran({"one": win("one"), "two": win("two")}, order)).winner == order[-1]


@both_orders
async def test_any_function_can_be_a_merger(order: tuple[str, ...]) -> None:
    def title(text: str) -> Change:
        def change(state: Books) -> None:
            state.title = text

        return change

    assert (await ran({"one": title("short"), "two": title("very long")}, order)).title == "very long"


async def test_a_merger_that_refuses_makes_a_conflict() -> None:
    def replace(state: Books) -> None:
        state.notes = ["replaced"]

    with pytest.raises(StateConflict, match="'notes'") as raised:
        await ran({"one": noting("a"), "two": replace}, ("one", "two"), state=Books(notes=["first"]))
    assert "may only be appended to" in str(raised.value.__cause__)


async def test_a_later_task_changes_the_same_field_without_a_merger() -> None:
    wf = WorkflowBuilder(name="later", state_type=Books, output_type=str)

    @wf.function
    async def one(ctx: StepContext[Books, None, None]) -> str:
        ctx.state.name += " one"
        return ctx.state.name

    @wf.function
    async def two(ctx: StepContext[Books, None, str]) -> str:
        ctx.state.name += " two"
        return ctx.state.name

    wf.edge(wf.start_node, one)
    wf.edge(one, two)
    wf.edge(two, wf.end_node)

    assert await wf.build().run(store="memory:") == "start one two"


# --- commit or nothing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"one": noting("a")}, {"one": noting("a"), "two": noting("b")}])
async def test_a_task_that_fails_leaves_no_trace_in_the_state(changes: dict[str, Change]) -> None:
    given = Books(notes=["first"])
    order = tuple(sorted(changes, reverse=True))

    with pytest.raises(NodeError):
        await ran(changes, order, state=given, faulty="one")

    assert given.notes == (["first", "b"] if "two" in changes else ["first"])


async def test_a_task_that_fails_does_it_once_when_it_is_tried_again() -> None:
    journals, given = Journals(), Books()
    workflow = side_by_side(Books, {"one": noting("a")})
    for faulty in ("one", "one", ""):
        async with Engine(MemoryStore(journals)) as engine:
            run = await engine.start(workflow, state=Books(), deps=Order(("one",), faulty=faulty), run_id=RUN)
            await anyio.wait_all_tasks_blocked()
            if faulty:
                assert run.status == "failed"
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.resume(RUN, workflow, state=given, deps=Order(("one",)))).result()

    assert given.notes == ["a"]


async def test_a_task_whose_output_cannot_be_stored_leaves_no_trace_in_the_state() -> None:
    wf = WorkflowBuilder(name="wrong", state_type=Books, output_type=int)

    @wf.function
    async def wrong(ctx: StepContext[Books, None, None]) -> int:
        ctx.state.notes.append("wrong")
        text: Any = "not a number"
        return text  # type: ignore[no-any-return]  # the fault that the test is about

    wf.edge(wf.start_node, wrong)
    wf.edge(wrong, wf.end_node)
    given = Books()

    with pytest.raises(NotStorable, match="the output of node 'wrong'"):
        await wf.build().run(state=given, store="memory:")

    assert given.notes == []


async def test_a_state_that_cannot_be_stored_fails_the_task_that_made_it_so() -> None:
    given = Books()

    with pytest.raises(NotStorable, match="state"):
        await ran({"one": lambda state: setattr(state, "name", 3)}, ("one",), state=given)

    assert given.name == "start"


async def test_a_task_that_is_stopped_leaves_no_trace_in_the_state() -> None:
    given = Books()
    wf = WorkflowBuilder(name="stopped", state_type=Books, deps_type=anyio.Event, output_type=int)

    @wf.function
    async def wait(ctx: StepContext[Books, anyio.Event, None]) -> int:
        ctx.state.notes.append("half done")
        ctx.deps.set()
        await anyio.sleep_forever()
        return 1

    wf.edge(wf.start_node, wait)
    wf.edge(wait, wf.end_node)
    begun = anyio.Event()
    async with Engine("memory:") as engine:
        run = await engine.start(wf.build(), state=given, deps=begun, run_id=RUN)
        await begun.wait()
        run.stop()

    assert given.notes == []


async def test_the_callers_object_is_the_committed_state_at_the_end() -> None:
    given = Books()
    notes = given.notes

    state = await ran({"one": noting("a"), "two": counting(1)}, ("two", "one"), state=given)

    assert state is given
    assert (given.notes, given.count) == (["a"], 11)
    assert notes in ([], ["a"])


async def test_an_object_given_to_a_resume_is_made_equal_to_the_state() -> None:
    journals = Journals()
    workflow = side_by_side(Books, {"one": noting("a")})
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.start(workflow, deps=Order(("one",)), run_id=RUN)).result()

    given = Books()
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.resume(RUN, workflow, state=given, deps=Order(("one",)))).result()

    assert given == Books(notes=["a"])
