"""What cannot be a state is refused in a clear sentence; what looks like trouble and is none works exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, PrivateAttr

from milepost.engine.engine import Engine
from milepost.engine.errors import InputError, NotStorable, UnsoundWorkflow, WorkflowError
from milepost.engine.policy import Retry
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN

pytestmark = pytest.mark.anyio
stored_and_not = pytest.mark.parametrize("store", ["memory:", None], ids=["stored", "in memory"])

Body = Callable[[Any], Any]


def row(state_type: Any, *bodies: Body) -> Workflow[Any, None, None, Any]:
    """Build nodes in a row. Each calls its function with the state; the last output is the run's."""
    wf: Any = WorkflowBuilder(name="row", state_type=state_type, output_type=Any)

    def node(number: int, body: Body) -> Any:
        async def call(ctx: StepContext[Any, None, Any]) -> Any:
            return body(ctx.state)

        return wf.function(node_id=f"node{number}")(call)

    before = wf.start_node
    for number, body in enumerate(bodies):
        step = node(number, body)
        wf.edge(before, step)
        before = step
    wf.edge(before, wf.end_node)
    built: Workflow[Any, None, None, Any] = wf.build()
    return built


class Pair(NamedTuple):
    number: int
    items: list[int]


class Point(NamedTuple):
    x: int
    y: int


# --- states that never change -----------------------------------------------------------------------------------------


@stored_and_not
@pytest.mark.parametrize(
    ("state_type", "state"),
    [(int, 7), (str, "text"), (Point, Point(1, 2)), (frozenset[int], frozenset({1})), (tuple[int, ...], (1, 2))],
    ids=["int", "str", "NamedTuple", "frozenset", "tuple"],
)
async def test_a_value_that_cannot_change_is_seen_by_all(state_type: Any, state: Any, store: str | None) -> None:
    seen: list[Any] = []

    await row(state_type, seen.append, seen.append).run(state=state, store=store, isolation="task")

    assert seen == [state, state]


@stored_and_not
async def test_a_tuple_that_holds_a_list_is_refused_before_anything_runs(store: str | None) -> None:
    with pytest.raises(InputError) as raised:
        await row(Pair, lambda state: state.items.append(1)).run(state=Pair(1, []), store=store, isolation="task")

    assert str(raised.value) == (
        "The state is Pair(number=1, items=[]): something in it can change, but it cannot be made equal to what is "
        "committed. Use a pydantic model, a dataclass, a TypedDict, a dict, a list or a set."
    )


@pytest.mark.parametrize(
    ("state_type", "stored", "given", "shown"),
    [
        (int, 7, 8, "the int 8, which cannot be made equal to that of the run, the int 7"),
        (int, 7, "7", "the str '7', which cannot be made equal to that of the run, the int 7"),
        (
            dict[str, int],
            {"a": 1},
            [1],
            "the list [1], which cannot be made equal to that of the run, the dict {'a': 1}",
        ),
    ],
)
@pytest.mark.parametrize("completed", [True, False])
async def test_an_object_of_another_kind_is_refused_when_a_run_is_resumed(
    state_type: Any, stored: Any, given: Any, shown: str, completed: bool
) -> None:
    journals, faults = Journals(), [] if completed else [ValueError("as told")]

    def fail(state: Any) -> None:
        if faults:
            raise faults.pop()

    workflow = row(state_type, fail)
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(workflow, state=stored, run_id=RUN)
        if not completed:
            with pytest.raises(WorkflowError if completed else Exception, match="as told"):
                await run.result()

    async with Engine(MemoryStore(journals)) as engine:
        with pytest.raises(InputError) as raised:
            await engine.resume(RUN, workflow, state=given)
        assert await (await engine.resume(RUN, workflow, state=stored)).result() is None
    assert str(raised.value) == f"The state that was given is {shown}. Give an object of that kind, or none."


# --- what cannot be stored --------------------------------------------------------------------------------------------


@dataclass
class Tree:
    parts: list[Any] = field(default_factory=list[Any])


class Node(BaseModel):
    children: list[Node] = []


def tie(state: Any) -> None:
    (state.parts if isinstance(state, Tree) else state.children).append(state)


@stored_and_not
@pytest.mark.parametrize("make", [Tree, Node])
async def test_a_state_that_contains_itself_is_refused(make: Callable[[], Any], store: str | None) -> None:
    given = make()
    tie(given)

    with pytest.raises(NotStorable, match=r"The value at state\.\w+\[0\] cannot be stored: it contains itself"):
        await row(make, lambda _: None).run(state=given, store=store, isolation="task")


@stored_and_not
@pytest.mark.parametrize("make", [Tree, Node])
async def test_a_task_that_ties_its_state_to_itself_fails_and_is_undone(
    make: Callable[[], Any], store: str | None
) -> None:
    given = make()

    with pytest.raises(NotStorable) as raised:
        await row(make, tie).run(state=given, store=store, isolation="task")

    assert "it contains itself. Refer to it by a name or an index. Node 'node0' left it so." in str(raised.value)
    assert given == make()


class Secretive(BaseModel):
    shown: int = 0
    _hidden: int = PrivateAttr(default=0)

    def hide(self) -> None:
        self._hidden = 3


async def test_a_private_attribute_is_not_lost_in_silence() -> None:
    given = Secretive()

    with pytest.raises(NotStorable, match=r"The value at state\._hidden cannot be stored.* Node 'node0' left it so\."):
        await row(Secretive, Secretive.hide).run(state=given, store="memory:")

    assert given == Secretive()


async def test_an_attribute_that_was_made_up_is_not_lost_in_silence() -> None:
    given = Tree()

    with pytest.raises(NotStorable, match=r"The value at state\.made_up cannot be stored"):
        await row(Tree, lambda state: setattr(state, "made_up", 1)).run(state=given, store="memory:")

    assert not hasattr(given, "made_up")


@dataclass
class Scaled:
    number: int
    scale: InitVar[int]

    def __post_init__(self, scale: int) -> None:
        self.number *= scale


async def test_a_dataclass_that_cannot_be_made_again_is_refused() -> None:
    with pytest.raises(NotStorable, match=r"The value at state\.scale cannot be stored: it is required to read"):
        await row(Scaled, lambda _: None).run(state=Scaled(1, 2), store="memory:")


def unreadable() -> Any:
    """Return a dataclass whose hints name what only this function knows, which no reader of hints can find."""

    class Item(BaseModel):
        number: int = 0

    @dataclass
    class Local:
        items: list[Item] = field(default_factory=list)  # pyright: ignore[reportUnknownVariableType]

    return Local


async def test_a_dataclass_whose_hints_nobody_can_read_is_refused_before_anything_runs() -> None:
    local = unreadable()

    with pytest.raises(UnsoundWorkflow, match="The value at the state cannot be stored: pydantic has no schema for"):
        await row(local, lambda _: None).run(state=local(), store="memory:")


class Client:
    """Something that only lives in this process."""


@dataclass
class Connected:
    count: int = 0
    client: Any = field(default_factory=Client)


async def test_without_a_store_a_state_that_is_shared_may_hold_anything() -> None:
    given = Connected()
    client = given.client

    await row(Connected, lambda state: setattr(state, "count", 1)).run(state=given)

    assert given == Connected(1, client)


@pytest.mark.parametrize("retries", [True, False])
async def test_without_a_store_a_state_that_has_to_be_copied_may_not(retries: bool) -> None:
    wf = WorkflowBuilder(name="copied", state_type=Connected, output_type=int)

    @wf.function(retry=Retry() if retries else None)
    async def count(ctx: StepContext[Connected, None, None]) -> int:
        return ctx.state.count

    wf.edge(wf.start_node, count)
    wf.edge(count, wf.end_node)

    with pytest.raises(NotStorable) as raised:
        await wf.build().run(state=Connected(), isolation=None if retries else "task")

    assert "The value at state.client cannot be stored" in str(raised.value)
    assert str(raised.value).endswith(
        "This run has no store, but copies its state all the same: its tasks have views of their own, or one of its "
        'nodes retries. Without copies: isolation="shared".'
    )
    assert await wf.build().run(state=Connected(), isolation="shared") == 0


async def test_a_state_that_is_not_declared_cannot_be_copied() -> None:
    with pytest.raises(InputError, match="This workflow declares no state, so its tasks cannot have views of the one"):
        await row(None, lambda _: None).run(state=Tree(), isolation="task")


# --- what works -------------------------------------------------------------------------------------------------------


class Plain:
    """A class that says itself how it is stored, and whose objects can be seen as constants only by their slots."""

    __slots__ = ("number",)

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and other.number == self.number

    def __hash__(self) -> int:
        return hash(self.number)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls, core_schema.int_schema(), serialization=core_schema.plain_serializer_function_ser_schema(number_of)
        )


def number_of(plain: Plain) -> int:
    return plain.number


async def test_a_change_of_what_counts_as_a_constant_is_refused() -> None:
    with pytest.raises(WorkflowError, match=r"Node 'node0' changed the state, .* which cannot be made"):
        await row(Plain, lambda state: setattr(state, "number", 1)).run(state=Plain(), store="memory:")


@dataclass
class Sums:
    items: list[int] = field(default_factory=list[int])

    @cached_property
    def total(self) -> int:
        return sum(self.items)


@stored_and_not
async def test_a_cached_property_does_not_outlive_its_task(store: str | None) -> None:
    def put(state: Sums) -> int:
        state.items.append(1)
        return state.total

    assert await row(Sums, put, put, put).run(state=Sums(), store=store, isolation="task") == 3


@stored_and_not
async def test_two_fields_do_not_stay_the_same_object(store: str | None) -> None:
    """As they would not be after a resume."""
    same: list[int] = []
    given = {"one": same, "two": same}

    await row(dict[str, list[int]], lambda state: state["one"].append(1)).run(
        state=given, store=store, isolation="task"
    )

    assert given == {"one": [1], "two": []}
    assert same == []


@stored_and_not
async def test_what_a_body_keeps_of_its_state_is_not_the_state(store: str | None) -> None:
    kept: list[list[Any]] = []

    def keep(state: Tree) -> list[Any]:
        kept.append(state.parts)
        return state.parts

    def put(state: Tree) -> None:
        kept[0].append("not in the state")

    given = Tree()
    await row(Tree, keep, put).run(state=given, store=store, isolation="task")

    assert given == Tree()


async def test_the_keys_of_a_dict_are_in_one_order_with_or_without_a_crash() -> None:
    def turn(state: dict[str, int]) -> None:
        state["a"] = state.pop("a") + 0

    def keys(state: dict[str, int]) -> list[str]:
        return list(state)

    given = {"a": 1, "b": 2}
    live = await row(dict[str, int], turn, keys).run(state=given, store="memory:")

    journals = Journals()
    faults = [ValueError("as told")]

    def fail_once(state: dict[str, int]) -> list[str]:
        if faults:
            raise faults.pop()
        return keys(state)

    workflow = row(dict[str, int], turn, fail_once)
    for _ in range(2):
        async with Engine(MemoryStore(journals)) as engine:
            run = await engine.start(workflow, state={"a": 1, "b": 2}, run_id=RUN)
            if faults:
                with pytest.raises(Exception, match="as told"):
                    await run.result()
            else:
                assert await run.result() == live
    assert list(given) == live
