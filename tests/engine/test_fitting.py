"""A stored run goes on with a changed workflow when the values that are pending fit it, and says what does not."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from milepost import (
    Engine,
    IncompatibleWorkflow,
    NodeError,
    RunMismatch,
    StepContext,
    WorkflowBuilder,
    append,
    describe,
    reduce_sum,
)
from milepost.engine.journal import Kind
from milepost.engine.opening import read_position
from tests.engine.changes import AnyWorkflow, World, kinds, node, refused, resumed, row, step, stopped
from tests.engine.changes import world as world
from tests.engine.subjects import RUN, Deps, chain

pytestmark = pytest.mark.anyio


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


async def test_an_output_that_the_workflow_cannot_read_any_more_is_refused_and_no_fork_of_it_is_made(
    world: World,
) -> None:
    def made(type_: Any) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(name="chain", deps_type=Deps, input_type=int, output_type=type_)
        one = wf.function(node_id="one")(returning(type_))
        wf.edge(wf.start_node, one)
        wf.edge(one, wf.end_node)
        built: AnyWorkflow = wf.build()
        return built

    def returning(type_: Any) -> Any:
        async def give(ctx: StepContext[None, Deps, int]) -> Any:
            return 3 if type_ is int else ["new"]

        give.__annotations__["return"] = type_
        return give

    new = made(list[str])
    async with Engine(world()) as engine:
        assert await (await engine.start(made(int), inputs=1, deps=Deps(), run_id=RUN)).result() == 3
        for asked in (
            lambda: engine.resume(RUN, new, deps=Deps()),
            lambda: engine.start(new, inputs=1, deps=Deps(), run_id=RUN),
            lambda: engine.fork(RUN, new, deps=Deps()),
            lambda: engine.at(RUN, 2, workflow=new),
        ):
            with pytest.raises(IncompatibleWorkflow) as raised:
                await asked()
            (change,) = raised.value.changes
            assert change == (
                "The stored output of the run does not fit any more: at output, it is the int 3, which its declared "
                "type does not take: input should be a valid array. Let the output type take what is stored, or look "
                f"at it without the workflow: milepost show {RUN}."
            )
        assert [one.run_id for one in await engine.runs()] == [RUN]
        fork = await engine.fork(RUN, new, at=1, deps=Deps())
        assert await fork.result() == ["new"]


# --- nodes ------------------------------------------------------------------------------------------------------------


async def test_a_pending_node_that_is_gone_is_named_with_the_way_out(world: World) -> None:
    deps = await stopped(world, chain(["first", "second"]), at="second")
    assert await refused(world, chain(["first", "secund"]), deps) == (
        (
            "Node 'second' has a task waiting, but the workflow has no such node any more. Give it back its id, or "
            "raise the version and migrate: stored.rename('second', 'secund')."
        ),
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
        (
            "The stored input of node 'use' does not fit any more: at input.grade, it is required to read the value "
            "back, and is not written, or no longer there. Let its type take what is stored, or raise the version and "
            "migrate: stored.inputs('use')."
        ),
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
        (
            "The stored state does not fit any more: at state.owner, it is required to read the value back, and is not "
            "written, or no longer there. Let its type take what is stored, e.g. by a default for what is new, or "
            "raise the version and migrate: stored.state."
        ),
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


# --- starting again ---------------------------------------------------------------------------------------------------


async def test_starting_again_compares_the_inputs_and_the_state_as_they_are_read_now(world: World) -> None:
    def made(kind: Any, state: Any) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(name="made", state_type=state, deps_type=Deps, input_type=kind, output_type=str)
        use = step(wf, "use", kind, str, lambda item: type(item).__name__)
        wf.edge(wf.start_node, use)
        wf.edge(use, wf.end_node)
        built: AnyWorkflow = wf.build()
        return built

    deps = Deps(faulty={"use"})
    async with Engine(world()) as engine:
        run = await engine.start(made(Item, Tally), inputs=Item(text="a"), state=Tally(seen=2), deps=deps, run_id=RUN)
        with pytest.raises(NodeError):
            await run.result()
        deps.faulty.clear()
        new = made(Marked, Wider)
        for item, state in ((Marked(text="b"), None), (Marked(text="a"), Wider(seen=3))):
            with pytest.raises(RunMismatch):
                await engine.start(new, inputs=item, state=state, deps=deps, run_id=RUN)
        run = await engine.start(new, inputs=Marked(text="a"), state=Wider(seen=2), deps=deps, run_id=RUN)
        assert await run.result() == "Marked"
