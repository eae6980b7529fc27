"""A stored run goes on with a changed workflow when everything pending still fits it, and says what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from milepost import (
    Engine,
    IncompatibleWorkflow,
    MemoryStore,
    MilepostError,
    NodeError,
    SqliteStore,
    StepContext,
    Store,
    Workflow,
    WorkflowBuilder,
    append,
    describe,
    reduce_list_append,
    reduce_sum,
)
from milepost.engine.journal import Kind, from_text
from milepost.engine.opening import read_position
from milepost.engine.stores.memory import Journals
from milepost.engine.typed import GraphBuilder
from tests.engine.subjects import RUN, Deps, chain

pytestmark = pytest.mark.anyio

World = Callable[[], Store]
AnyWorkflow = Workflow[Any, Any, Any, Any]
Ctx = StepContext[Any, Deps, Any]


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Return what opens one store again and again."""
    journals = Journals()
    if request.param == "memory":
        return lambda: MemoryStore(journals)
    return lambda: SqliteStore(tmp_path / "runs.db", durability="process")


async def stopped(world: World, workflow: AnyWorkflow, deps: Deps | None = None, *, at: str, inputs: Any = 1) -> Deps:
    """Leave a run that has failed at a node."""
    deps = deps or Deps()
    deps.faulty = {at}
    async with Engine(world()) as engine:
        with pytest.raises(MilepostError):
            await (await engine.start(workflow, inputs=inputs, deps=deps, run_id=RUN)).result()
    deps.faulty = set()
    return deps


async def resumed(world: World, workflow: AnyWorkflow, deps: Deps) -> Any:
    async with Engine(world()) as engine:
        return await (await engine.resume(RUN, workflow, deps=deps)).result()


async def refused(world: World, workflow: AnyWorkflow, deps: Deps) -> Sequence[str]:
    """Return why a run does not go on; nothing was changed by asking."""
    calls, store = deps.calls.copy(), world()
    async with Engine(store) as engine:
        before = await store.row(RUN), await store.records(RUN)
        assert [one.verdict for one in await engine.check(workflow)] == ["refused"]
        with pytest.raises(IncompatibleWorkflow) as raised:
            await engine.resume(RUN, workflow, deps=deps)
        row = await store.row(RUN)
        assert row is not None
        assert row.owner is None
        assert before[0] is not None
        assert (row.seq, row.hash, row.fingerprint, row.status) == (
            *(before[0].seq, before[0].hash, before[0].fingerprint, before[0].status),
        )
        assert await store.records(RUN) == before[1]
    assert deps.calls == calls
    return raised.value.changes


async def kinds(world: World) -> list[Kind]:
    store = world()
    await store.open()
    try:
        return [from_text(one.seq, one.body, one.content).kind for one in await store.records(RUN)]
    finally:
        await store.close()


def step(
    wf: WorkflowBuilder[Any, Any, Any, Any], name: str, taken: Any = int, given: Any = int, made: Any = None
) -> Any:
    """Add a node that counts its call, and returns what `made` makes of its input, else that."""

    async def body(ctx: Ctx) -> Any:
        await ctx.deps.enter(name)
        return ctx.inputs if made is None else made(ctx.inputs)

    body.__annotations__.update({"ctx": StepContext[Any, Deps, taken], "return": given})
    return wf.function(node_id=name)(body)


def row(*nodes: Any, name: str = "row", taken: Any = int, given: Any = int, version: int = 1) -> AnyWorkflow:
    """Build nodes in a row. nodes: makes each of a builder."""
    wf: Any = WorkflowBuilder(name=name, deps_type=Deps, input_type=taken, output_type=given, version=version)
    steps = [make(wf) for make in nodes]
    for before, after in zip([wf.start_node, *steps], [*steps, wf.end_node], strict=True):
        wf.edge(before, after)
    built: AnyWorkflow = wf.build()
    return built


def node(name: str, taken: Any = int, given: Any = int, made: Any = None) -> Callable[[Any], Any]:
    return lambda wf: step(wf, name, taken, given, made)


# --- what changes nothing ---------------------------------------------------------------------------------------------


async def test_a_run_that_goes_on_with_the_same_workflow_writes_nothing_about_it(world: World) -> None:
    deps = await stopped(world, chain(["first", "second"]), at="second")
    assert await resumed(world, chain(["first", "second"]), deps) == 3
    assert Kind.MIGRATED not in await kinds(world)


async def test_a_compatible_change_is_recorded_once_and_the_run_follows_it_from_there(world: World) -> None:
    deps = await stopped(world, chain(["first", "second"]), at="second")
    longer = chain(["first", "second", "third"])
    deps.faulty = {"third"}
    with pytest.raises(NodeError):
        await resumed(world, longer, deps)
    deps.faulty = set()
    assert await resumed(world, longer, deps) == 4
    assert (await kinds(world)).count(Kind.MIGRATED) == 1
    async with Engine(world()) as engine:
        trace = await engine.trace(RUN)
    assert trace.definition == describe(longer)


async def test_a_new_docstring_or_policy_is_a_change_that_fits(world: World) -> None:
    def made(doc: str, **policy: Any) -> AnyWorkflow:
        wf = WorkflowBuilder(name="told", deps_type=Deps, input_type=int, output_type=int)

        async def second(ctx: StepContext[None, Deps, int]) -> int:
            await ctx.deps.enter("second")
            return ctx.inputs

        second.__doc__ = doc
        one = wf.function(**policy)(second)
        wf.edge(wf.start_node, one)
        wf.edge(one, wf.end_node)
        return wf.build()

    deps = await stopped(world, made("As it was."), at="second")
    assert await resumed(world, made("As it is.", timeout=60.0), deps) == 1
    assert (await kinds(world)).count(Kind.MIGRATED) == 1


async def test_a_node_that_has_finished_may_go_and_new_ones_may_come(world: World) -> None:
    deps = await stopped(world, chain(["first", "second"]), at="second")
    assert await resumed(world, chain(["new", "second", "last"]), deps) == 4
    assert dict(deps.calls) == {"first": 1, "second": 2, "last": 1}


async def test_the_output_of_a_run_that_ended_before_is_given_whatever_the_workflow_is_now(world: World) -> None:
    deps = Deps()
    async with Engine(world()) as engine:
        await (await engine.start(chain(["first", "second"]), inputs=1, deps=deps, run_id=RUN)).result()
        assert await engine.check(chain(["other"])) == []
    assert await resumed(world, chain(["other"]), deps) == 3


# --- nodes ------------------------------------------------------------------------------------------------------------


async def test_a_pending_node_that_is_gone_is_named_with_the_way_out(world: World) -> None:
    deps = await stopped(world, chain(["first", "second"]), at="second")
    assert await refused(world, chain(["first", "secund"]), deps) == (
        "Node 'second' has a task waiting, but the workflow has no such node any more. Give it back its id, or raise "
        "the version and migrate: stored.rename('second', 'secund').",
    )


async def test_a_pending_node_whose_id_is_now_a_join_s_is_gone(world: World) -> None:
    deps = await stopped(world, chain(["first", "second"], name="row"), at="second")
    wf = WorkflowBuilder(name="row", deps_type=Deps, input_type=int, output_type=int)
    second = wf.join(reduce_sum, initial=0, node_id="second")
    first = step(wf, "first")
    wf.edge(wf.start_node, first)
    wf.edge(first, second)
    wf.edge(second, wf.end_node)
    (change,) = await refused(world, wf.build(), deps)
    assert change.startswith("Node 'second' has a task waiting, but the workflow has no such node any more.")


class Item(BaseModel):
    text: str


class Graded(BaseModel):
    text: str
    grade: int


class Marked(BaseModel):
    text: str
    mark: str = "none"


async def test_an_input_that_gained_a_field_with_a_default_fits(world: World) -> None:
    def made(kind: Any) -> AnyWorkflow:
        return row(
            node("make", str, kind, lambda text: kind(text=text)),
            node("use", kind, str, lambda item: f"{item.text} {getattr(item, 'mark', '')}"),
            taken=str,
            given=str,
        )

    deps = await stopped(world, made(Item), at="use", inputs="a")
    assert await resumed(world, made(Marked), deps) == "a none"


async def test_an_input_that_lacks_what_is_needed_now_is_named_with_the_place_of_it(world: World) -> None:
    def made(kind: Any) -> AnyWorkflow:
        return row(node("make", str, kind), node("use", kind, str), taken=str, given=str)

    deps = await stopped(
        world, row(node("make", str, Item, lambda text: Item(text=text)), node("use", Item, str), taken=str, given=str),
        at="use", inputs="a",
    )  # fmt: skip
    assert await refused(world, made(Graded), deps) == (
        "The stored input of node 'use' does not fit any more: at input.grade, it is required to read the value back, "
        "and is not written, or no longer there. Let its type take what is stored, or raise the version and migrate: "
        "stored.inputs('use').",
    )


async def test_an_input_is_compared_with_what_its_node_takes_now_not_only_with_what_it_was(world: World) -> None:
    """A node was put between two others: what waits at the second is of the type that the new one takes."""
    make = node("make", str, Item, lambda text: Item(text=text))
    grade = node("grade", Item, Graded, lambda item: Graded(text=item.text, grade=1))
    deps = await stopped(world, row(make, node("use", Item, str), taken=str, given=str), at="use", inputs="a")
    changes = await refused(world, row(make, grade, node("use", Graded, str), taken=str, given=str), deps)
    assert changes[0].startswith("The stored input of node 'use' does not fit any more: at input.grade, it is required")

    mark = node("mark", Item, Marked)
    use = node("use", Marked, str, lambda item: f"{type(item).__name__} {item.mark}")
    assert await resumed(world, row(make, mark, use, taken=str, given=str), deps) == "Marked none"
    assert "mark" not in deps.calls


async def test_an_input_whose_maker_is_gone_is_read_as_what_its_node_takes(world: World) -> None:
    make = node("make", str, Item, lambda text: Item(text=text))
    use = node("use", Item, str, lambda item: item.text)
    deps = await stopped(world, row(make, use, taken=str, given=str), at="use", inputs="a")
    other = node("other", str, Item)
    deps.faulty = {"use"}
    with pytest.raises(NodeError):
        await resumed(world, row(other, use, taken=str, given=str), deps)
    deps.faulty = set()
    assert await resumed(world, row(node("make", str, Item), use, taken=str, given=str), deps) == "a"


async def test_an_input_fits_a_type_that_has_become_one_of_several(world: World) -> None:
    make = node("make", str, Item, lambda text: Item(text=text))
    use = node("use", Item, str)
    deps = await stopped(world, row(make, use, taken=str, given=str), at="use", inputs="a")
    both = node("use", Item | Graded, str, lambda item: f"{type(item).__name__} {item.text}")
    assert await resumed(world, row(node("make", str, Item | Graded), both, taken=str, given=str), deps) == "Item a"


async def test_an_input_of_one_of_several_types_fits_that_one_alone(world: World) -> None:
    make = node("make", str, Marked | Graded, lambda text: Marked(text=text, mark="x"))
    deps = await stopped(
        world, row(make, node("use", Marked | Graded, str), taken=str, given=str), at="use", inputs="a"
    )
    alone = node("use", Marked, str, lambda item: f"{type(item).__name__} {item.mark}")
    assert await resumed(world, row(node("make", str, Marked), alone, taken=str, given=str), deps) == "Marked x"


class Lax(BaseModel):
    text: str = ""


async def test_a_stored_choice_of_a_type_is_never_taken_for_a_value_with_nothing_in_it(world: World) -> None:
    """`Lax` would take `{"$type": "Marked", ...}` for one of its own, ignoring all that is in it."""
    make = node("make", str, Marked | Graded, lambda text: Marked(text=text))
    deps = await stopped(
        world, row(make, node("use", Marked | Graded, str), taken=str, given=str), at="use", inputs="a"
    )
    (change,) = await refused(world, row(node("make", str, Lax), node("use", Lax, str), taken=str, given=str), deps)
    assert "at input, it was stored as a 'Marked', and its declared type knows no such names." in change


async def test_a_value_of_undeclared_type_fits_the_type_that_is_declared_for_it_now(world: World) -> None:
    def made(kind: Any) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(name="row", deps_type=Deps, output_type=str, registered=(Item,))
        make = step(wf, "make", None, kind, lambda _: Item(text="a"))
        use = step(wf, "use", kind, str, lambda item: item.text)
        wf.edge(wf.start_node, make)
        wf.edge(make, use)
        wf.edge(use, wf.end_node)
        built: AnyWorkflow = wf.build()
        return built

    deps = await stopped(world, made(Any), at="use", inputs=None)
    assert await resumed(world, made(Item), deps) == "a"


# --- the state --------------------------------------------------------------------------------------------------------


class Tally(BaseModel):
    seen: int = 0
    notes: Annotated[list[str], append] = []


class Wider(BaseModel):
    seen: int = 0
    notes: Annotated[list[str], append] = []
    language: str = "en"


class Needy(BaseModel):
    seen: int = 0
    owner: str


def counted(state: Any, *, twice: bool = False) -> AnyWorkflow:
    """Build two nodes side by side that both touch the state, behind one."""
    wf: Any = WorkflowBuilder(name="counted", state_type=state, deps_type=Deps, input_type=int, output_type=int)

    def body(name: str) -> Any:
        async def touch(ctx: StepContext[Any, Deps, int]) -> int:
            await ctx.deps.enter(name)
            if state is not None:
                ctx.state.notes.append(name)
                return int(ctx.state.seen)
            return 0

        return touch

    first, left, right = (wf.function(node_id=name)(body(name)) for name in ("first", "left", "right"))
    total = wf.join(reduce_sum, initial=0, node_id="total")
    wf.edge(wf.start_node, first)
    wf.edge(first, left)
    wf.edge(first, right)
    wf.edge(left, total)
    wf.edge(right, total)
    wf.edge(total, wf.end_node)
    built: AnyWorkflow = wf.build()
    return built


async def test_a_state_that_gained_a_default_is_written_anew_once_and_no_task_is_blamed_for_it(world: World) -> None:
    deps = await stopped(world, counted(Tally), at="left")
    async with Engine(world()) as engine:
        (prospect,) = await engine.check(counted(Wider))
        assert (prospect.verdict, prospect.reasons) == ("resumes", ("The state is written anew: 'language'.",))
        state = Wider()
        run = await engine.resume(RUN, counted(Wider), deps=deps, state=state)
        await run.result()
    assert (state.language, sorted(state.notes)) == ("en", ["first", "left", "right"])


async def test_a_state_that_lost_a_field_goes_on_without_it(world: World) -> None:
    deps = await stopped(world, counted(Wider), at="left")
    assert await resumed(world, counted(Tally), deps) == 0
    store = world()
    async with Engine(store):
        row = await store.row(RUN)
        assert row is not None
        assert set((await read_position(store, row)).position.fields) == {"seen", "notes"}


async def test_a_state_that_lacks_what_is_needed_now_is_named(world: World) -> None:
    deps = await stopped(world, counted(Tally), at="left")
    assert await refused(world, counted(Needy), deps) == (
        "The stored state does not fit any more: at state.owner, it is required to read the value back, and is not "
        "written, or no longer there. Let its type take what is stored, e.g. by a default for what is new, or raise "
        "the version and migrate: stored.state.",
    )


async def test_a_state_that_the_workflow_no_longer_has_is_named(world: World) -> None:
    deps = await stopped(world, counted(Tally), at="left")
    (change,) = await refused(world, counted(None), deps)
    assert change.startswith(
        "The stored state does not fit any more: at state, the workflow declares no state any more."
    )


async def test_a_run_without_a_state_gets_one_that_needs_nothing(world: World) -> None:
    deps = await stopped(world, counted(None), at="left")
    assert await resumed(world, counted(Tally), deps) == 0


async def test_a_run_without_a_state_does_not_get_one_that_has_to_be_given(world: World) -> None:
    deps = await stopped(world, counted(None), at="left")
    (change,) = await refused(world, counted(Needy), deps)
    assert change.startswith("The stored state does not fit any more: at state.owner")


# --- joins ------------------------------------------------------------------------------------------------------------


def mapped(
    *,
    join: str | None = "collect",
    fork: str | None = "items",
    item: Any = int,
    before: Sequence[str] = (),
    between: Sequence[str] = (),
    parent: str | None = None,
    broadcast: bool = False,
) -> AnyWorkflow:
    """Build a map over a list. before: nodes ahead of it. between: nodes that each item passes after `work`."""
    wf: Any = WorkflowBuilder(
        name="mapped", deps_type=Deps, input_type=list[int], output_type=list[item], on_failure="finish"
    )

    async def work(ctx: StepContext[None, Deps, int]) -> Any:
        await ctx.deps.enter(f"work {ctx.inputs}")
        return item(ctx.inputs)

    work.__annotations__["return"] = item
    working = wf.function(node_id="work")(work)
    ahead = [step(wf, name, list[int], list[int]) for name in before]
    more = [step(wf, name, item, item) for name in between]
    collect = wf.join(reduce_list_append, initial_factory=list[item], node_id=join, parent_fork_id=parent)
    for source, target in zip([wf.start_node, *ahead], ahead, strict=False):
        wf.edge(source, target)
    wf.edge(ahead[-1] if ahead else wf.start_node, wf.each(working, join=collect, fork_id=fork))
    for source, target in zip([working, *more], more, strict=False):
        wf.edge(source, target)
    wf.edge((more or [working])[-1], collect)
    wf.edge(collect, wf.end_node)
    built: AnyWorkflow = wf.build()
    return built


async def test_items_of_a_map_and_its_join_go_on_after_a_node_was_put_between_them(world: World) -> None:
    deps = await stopped(world, mapped(), at="work 2", inputs=[1, 2, 3])
    assert sorted(await resumed(world, mapped(between=["check"]), deps)) == [1, 2, 3]
    assert deps.calls["check"] == 1


async def test_a_join_with_items_that_is_gone_is_named(world: World) -> None:
    deps = await stopped(world, mapped(), at="work 2", inputs=[1, 2])
    assert await refused(world, mapped(join="gather"), deps) == (
        "Join 'collect' has items waiting, but the workflow has no such join any more. Give it back its id, or raise "
        "the version and migrate: stored.rename('collect', 'gather').",
    )


async def test_items_of_a_join_that_do_not_fit_any_more_are_named(world: World) -> None:
    def made(kind: Any) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(
            name="made", deps_type=Deps, input_type=list[int], output_type=int, on_failure="finish"
        )

        async def work(ctx: StepContext[None, Deps, int]) -> Any:
            await ctx.deps.enter(f"work {ctx.inputs}")
            return kind(text=str(ctx.inputs), grade=1)

        work.__annotations__["return"] = kind
        collect = wf.join(reduce_list_append, initial_factory=list[kind], node_id="collect")
        count = step(wf, "count", list[kind], int, len)
        wf.edge(wf.start_node, wf.each(wf.function(work), join=collect, fork_id="items"))
        wf.edge(collect, count)
        wf.edge(count, wf.end_node)
        built: AnyWorkflow = wf.build()
        return built

    deps = await stopped(world, made(Item), at="work 2", inputs=[1, 2])
    (change,) = await refused(world, made(Graded), deps)
    assert change.startswith("A stored item of join 'collect' does not fit any more: at item.grade, it is required")
    assert change.endswith("or raise the version and migrate: stored.items('collect').")
    assert await resumed(world, made(Item), deps) == 2


async def test_a_join_with_items_that_waits_for_another_fork_now_is_named(world: World) -> None:
    deps = await stopped(world, mapped(parent="items"), at="work 2", inputs=[1, 2])
    (change,) = await refused(world, mapped(), deps)
    assert change == (
        "Join 'collect' has items that wait for the rest of fork 'items', and it waits for '__start__' now. Have it "
        "wait for the same fork, e.g. with parent_fork_id=..."
    )


# --- forks ------------------------------------------------------------------------------------------------------------


async def test_a_fork_with_branches_under_way_that_is_gone_is_named(world: World) -> None:
    deps = await stopped(world, mapped(parent="items"), at="work 1", inputs=[1, 2])
    changes = await refused(world, mapped(fork="others", parent="others"), deps)
    assert changes[0] == (
        "Fork 'items' has branches under way, but the workflow has no such fork any more. Give it back its id, or "
        "raise the version and migrate: stored.rename('items', 'others')."
    )


def either(kind: str) -> AnyWorkflow:
    """Build a fork called `spread` in front of two nodes that both come to a join of that fork."""
    g: Any = GraphBuilder(input_type=list[int], output_type=list[int], deps_type=Deps)

    async def one(ctx: StepContext[None, Deps, Any]) -> int:
        await ctx.deps.enter("one")
        return 1

    async def two(ctx: StepContext[None, Deps, Any]) -> int:
        return 2

    first, second = g.step(one), g.step(two)
    join = g.join(reduce_list_append, initial_factory=list[int], node_id="collect", parent_fork_id="spread")
    edge = g.edge_from(g.start_node)
    if kind == "map":
        g.add(edge.map(fork_id="spread").to(first), g.edge_from(first).to(second))
    elif kind == "two":
        g.add(edge.broadcast(lambda path: [path.to(first), path.to(second)], fork_id="spread"))
        g.add(g.edge_from(first).to(join))
    else:
        g.add(edge.broadcast(lambda path: [path.to(second), path.to(second)], fork_id="spread"))
        g.add(g.edge_from(join).to(first), g.edge_from(first).to(g.end_node), g.edge_from(second).to(join))
        return Workflow.from_graph(g.build(), name="either")
    g.add(g.edge_from(second).to(join), g.edge_from(join).to(g.end_node))
    return Workflow.from_graph(g.build(), name="either")


async def test_a_map_with_items_under_way_that_has_become_a_broadcast_is_named(world: World) -> None:
    deps = await stopped(world, either("map"), at="one", inputs=[1, 2])
    (change,) = await refused(world, either("two"), deps)
    assert change == (
        "Fork 'spread' has branches under way as a map, and is a broadcast now. Make it a map again, and give the "
        "broadcast another id."
    )


async def test_a_branch_under_way_that_its_fork_no_longer_has_is_named(world: World) -> None:
    deps = await stopped(world, either("two"), at="one", inputs=[1])
    (change,) = await refused(world, either("after"), deps)
    assert change == (
        "Node 'one' has a task waiting in a branch of fork 'spread', which does not lead to it any more. Lead it there "
        "again."
    )


# --- ids that were made up --------------------------------------------------------------------------------------------


async def test_an_id_that_was_made_up_may_change_with_the_nodes_beside_it(world: World) -> None:
    """The map is called after the node before it, which gets another name here."""
    deps = await stopped(world, mapped(fork=None, before=["load"]), at="work 2", inputs=[1, 2])
    assert sorted(await resumed(world, mapped(fork=None, before=["fetch"]), deps)) == [1, 2]
