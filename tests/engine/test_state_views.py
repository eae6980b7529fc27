"""Views of the state: every kind of state, when a view is made, and runs whose tasks share one object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr
from typing_extensions import TypedDict

from milepost.engine.contents import make_equal
from milepost.engine.engine import Engine, Isolation
from milepost.engine.errors import NodeError, RoutingError
from milepost.engine.fields import fields_of, whole_of
from milepost.engine.policy import Retry
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import ReducerContext, StepContext, reduce_list_append
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.subjects import RUN

pytestmark = pytest.mark.anyio


class Model(BaseModel):
    items: list[int] = []
    note: str = ""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    items: list[int] = []
    note: str = ""


@dataclass
class Plain:
    items: list[int] = field(default_factory=list[int])
    note: str = ""


@dataclass(slots=True)
class Slotted:
    items: list[int] = field(default_factory=list[int])
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sealed:
    items: list[int] = field(default_factory=list[int])
    note: str = ""


class Typed(TypedDict, total=False):
    items: list[int]
    note: str


KINDS: list[Any] = [Model, Frozen, Plain, Slotted, Sealed, Typed]


def items_of(state: Any) -> list[int]:
    """Return the items of any kind of state, made if it has none yet."""
    return cast("Typed", state).setdefault("items", []) if isinstance(state, dict) else state.items


def is_positive(number: int) -> bool:
    return number > 0


def loop(kind: Any, fails_at: int = -1) -> Workflow[Any, None, int, int]:
    """Build a loop that puts its numbers, down to 0, into the state."""
    wf: Any = WorkflowBuilder(name="loop", state_type=kind, input_type=int, output_type=int)

    async def put(ctx: StepContext[Any, None, int]) -> int:
        items_of(ctx.state).append(ctx.inputs)
        if ctx.inputs == fails_at:
            raise ValueError("as told")
        return ctx.inputs - 1

    step = wf.function(put)
    wf.edge(wf.start_node, step)
    wf.edge(step, step, when=is_positive)
    wf.edge(step, wf.end_node, otherwise=True)
    built: Workflow[Any, None, int, int] = wf.build()
    return built


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_state_is_committed_and_given_back(kind: Any) -> None:
    given = kind()

    await loop(kind).run(inputs=3, state=given, store="memory:")

    assert items_of(given) == [3, 2, 1]
    assert type(given) is (dict if kind is Typed else kind)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_state_is_rolled_back_and_taken_up_again(kind: Any) -> None:
    journals, given = Journals(), kind()
    with pytest.raises(NodeError):
        await loop(kind, fails_at=2).run(inputs=3, state=given, store=MemoryStore(journals), run_id=RUN)
    assert items_of(given) == [3]

    fresh = kind()
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.resume(RUN, loop(kind), state=fresh)).result()

    assert items_of(fresh) == [3, 2, 1]


async def test_private_attributes_of_a_model_come_with_it() -> None:
    class Secretive(BaseModel):
        shown: int = 0
        _hidden: int = PrivateAttr(default=0)

    one, other = Secretive(), Secretive(shown=2)
    other._hidden = 3  # pyright: ignore[reportPrivateUsage]

    assert make_equal(one, other)
    assert one == other


def test_a_slot_that_was_not_filled_is_empty_again() -> None:
    @dataclass(slots=True)
    class Late:
        number: int = 0
        late: int = field(init=False)

    one, other = Late(), Late(2)
    one.late = 3

    for _ in range(2):
        assert make_equal(one, other)
    assert one.number == 2
    assert not hasattr(one, "late")


def test_an_object_of_another_type_cannot_be_made_equal() -> None:
    assert not make_equal(Model(), Plain())
    assert not make_equal(3, 4)


@pytest.mark.parametrize("text", ['{"a":1,"b":[2]}', '{"a b":"\\"","":{}}', "{}", '{"n":NaN}'])
def test_the_text_of_a_state_is_cut_into_fields_and_put_together_again(text: str) -> None:
    assert whole_of(fields_of(text)) == text


def test_a_state_that_has_no_fields_is_kept_whole() -> None:
    assert whole_of(fields_of("[1,2]")) == "[1,2]"


async def test_a_state_that_is_a_number_can_be_read_but_stays() -> None:
    wf = WorkflowBuilder(name="number", state_type=int, output_type=int)

    @wf.function
    async def read(ctx: StepContext[int, None, None]) -> int:
        return ctx.state

    wf.edge(wf.start_node, read)
    wf.edge(read, wf.end_node)

    assert await wf.build().run(state=7, store="memory:") == 7


# --- who sees what ----------------------------------------------------------------------------------------------------


@dataclass
class Turns:
    """changed: the one branch has changed its state. seen: the other has looked."""

    changed: anyio.Event = field(default_factory=anyio.Event)
    seen: anyio.Event = field(default_factory=anyio.Event)


def overlapping(see: Callable[[Any, Any], None]) -> Workflow[Plain, Turns, None, list[int]]:
    """Build two branches: `early` changes the state and waits, `late` looks while it does."""
    wf = WorkflowBuilder(name="overlap", state_type=Plain, deps_type=Turns, output_type=list[int])
    states: list[Any] = []

    @wf.function
    async def early(ctx: StepContext[Plain, Turns, None]) -> int:
        ctx.state.note = "half"
        states.append(ctx.state)
        ctx.deps.changed.set()
        await ctx.deps.seen.wait()
        return 1

    @wf.function
    async def late(ctx: StepContext[Plain, Turns, None]) -> int:
        await ctx.deps.changed.wait()
        see(states[0], ctx.state)
        ctx.deps.seen.set()
        return 2

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, early)
    wf.edge(wf.start_node, late)
    wf.edge(early, collect)
    wf.edge(late, collect)
    wf.edge(collect, wf.end_node)
    return wf.build()


@pytest.mark.parametrize(
    ("store", "isolation", "shared"),
    [
        ("memory:", None, False),
        ("memory:", "task", False),
        ("memory:", "shared", True),
        (None, None, True),
        (None, "shared", True),
        (None, "task", False),
    ],
)
async def test_tasks_share_their_state_or_have_their_own(
    store: str | None, isolation: Isolation | None, shared: bool
) -> None:
    def see(one: Any, other: Any) -> None:
        assert (one is other) == shared
        assert other.note == ("half" if shared else "")

    given = Plain()
    await overlapping(see).run(state=given, deps=Turns(), store=store, isolation=isolation)

    assert given.note == "half"


async def test_a_run_with_a_shared_state_is_stored_and_resumed_as_one() -> None:
    journals, given = Journals(), Plain()
    with pytest.raises(NodeError):
        await loop(Plain, fails_at=1).run(
            inputs=3, state=given, store=MemoryStore(journals), run_id=RUN, isolation="shared"
        )
    assert journals.rows[RUN].isolation == "shared"

    fresh = Plain()
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.resume(RUN, loop(Plain), state=fresh)).result()
    assert fresh.items == [3, 2, 1]


@dataclass
class Needy:
    name: str
    items: list[int] = field(default_factory=list[int])


@pytest.mark.parametrize("isolation", ["task", "shared"])
async def test_a_run_is_resumed_without_an_object_where_its_type_cannot_make_one(isolation: Isolation) -> None:
    journals = Journals()
    with pytest.raises(NodeError):
        await loop(Needy, fails_at=2).run(
            inputs=3, state=Needy("x"), store=MemoryStore(journals), run_id=RUN, isolation=isolation
        )

    async with Engine(MemoryStore(journals)) as engine:
        assert await (await engine.resume(RUN, loop(Needy))).result() == 0
    fresh = Needy("y")
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.resume(RUN, loop(Needy), state=fresh)).result()

    assert fresh == Needy("x", [3, 2, 1])


async def test_a_transform_works_on_a_state_that_is_shared_and_stored() -> None:
    wf = WorkflowBuilder(name="shared", state_type=Plain, output_type=int)

    @wf.function
    async def put(ctx: StepContext[Plain, None, None]) -> int:
        ctx.state.items.append(1)
        return 1

    def put_too(ctx: StepContext[Plain, None, int]) -> int:
        ctx.state.items.append(2)
        return 2

    @wf.function
    async def stay(ctx: StepContext[Plain, None, int]) -> int:
        return ctx.inputs

    wf.edge(wf.start_node, put)
    wf.add(wf.edge_from(put).transform(put_too).to(stay))
    wf.edge(stay, wf.end_node)
    given = Plain()

    await wf.build().run(state=given, store="memory:", isolation="shared")

    assert given.items == [1, 2]


async def test_without_a_store_a_retry_does_not_see_what_the_failed_attempt_left() -> None:
    wf = WorkflowBuilder(name="again", state_type=Plain, output_type=int)
    seen: list[list[int]] = []

    @wf.function(retry=Retry(attempts=3))
    async def faulty(ctx: StepContext[Plain, None, None]) -> int:
        seen.append(list(ctx.state.items))
        ctx.state.items.append(len(seen))
        if len(seen) < 3:
            raise ValueError("again")
        return 1

    wf.edge(wf.start_node, faulty)
    wf.edge(faulty, wf.end_node)
    given = Plain()

    await wf.build().run(state=given)

    assert seen == [[], [], []]
    assert given.items == [3]


async def test_a_state_that_is_never_read_is_never_copied() -> None:
    copies: list[int] = []

    @dataclass
    class Heavy:
        items: list[int] = dataclasses.field(default_factory=list[int])

        def __post_init__(self) -> None:
            copies.append(1)

    wf = WorkflowBuilder(name="heavy", state_type=Heavy, input_type=list[int], output_type=list[int])

    @wf.function
    async def one(ctx: StepContext[Heavy, None, int]) -> int:
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, wf.each(one, join=collect))
    wf.edge(collect, wf.end_node)
    workflow, given = wf.build(), Heavy()
    async with Engine("memory:") as engine:
        run = await engine.start(workflow, inputs=list(range(50)), state=given)
        before = len(copies)
        await run.result()

    assert len(copies) == before


# --- reducers ---------------------------------------------------------------------------------------------------------


def reducing() -> Workflow[Plain, None, None, int]:
    """Build a join whose reducer counts in the state."""
    wf = WorkflowBuilder(name="reducing", state_type=Plain, output_type=int)

    @wf.function
    async def many(ctx: StepContext[Plain, None, None]) -> list[int]:
        return [1, 2, 3]

    @wf.function
    async def same(ctx: StepContext[Plain, None, int]) -> int:
        return ctx.inputs

    def total(ctx: ReducerContext[Plain, None], current: int, item: int) -> int:
        ctx.state.items.append(item)
        return current + item

    summed = wf.join(total, initial=0, node_id="summed")
    wf.edge(wf.start_node, many)
    wf.edge(many, wf.each(same, join=summed))
    wf.edge(summed, wf.end_node)
    return wf.build()


async def test_a_reducer_may_use_a_shared_state() -> None:
    given = Plain()

    assert await reducing().run(state=given) == 6
    assert sorted(given.items) == [1, 2, 3]


async def test_a_reducer_that_reads_the_state_is_an_error_where_tasks_have_their_own() -> None:
    with pytest.raises(RoutingError, match=r"a reducer read ctx\.state, which would make the join depend on timing"):
        await reducing().run(state=Plain(), store="memory:")
