"""Runs that were stored under an older version of their workflow are migrated, JSON to JSON, in one record."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel

from milepost import (
    EdgeTaken,
    Engine,
    IncompatibleWorkflow,
    MemoryStore,
    MigrationError,
    NodeError,
    RunMigrated,
    SqliteStore,
    StateConflict,
    StepContext,
    Store,
    Stored,
    StoreError,
    UnsoundWorkflow,
    Workflow,
    WorkflowBuilder,
    WorkflowError,
    append,
    describe,
    reduce_list_append,
)
from milepost.engine.journal import Kind
from milepost.engine.journal_text import from_text
from milepost.engine.opening import read_position
from milepost.engine.stores.memory import Journals
from milepost.engine.stores.store import Acknowledge, Entry
from milepost.visualize.render import render
from tests.engine.subjects import RUN, Deps, chain

pytestmark = pytest.mark.anyio

World = Callable[[], Store]
AnyWorkflow = Workflow[Any, Any, Any, Any]


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Return what opens one store again and again."""
    journals = Journals()
    if request.param == "memory":
        return lambda: MemoryStore(journals)
    return lambda: SqliteStore(tmp_path / "runs.db", durability="process")


async def stopped(world: World, workflow: AnyWorkflow, *, at: str, inputs: Any = None, state: Any = None) -> Deps:
    """Leave a run that has failed at a node."""
    deps = Deps(faulty={at})
    async with Engine(world()) as engine:
        run = await engine.start(workflow, inputs=inputs, state=state, deps=deps, run_id=RUN)
        with pytest.raises((NodeError, WorkflowError)):
            await run.result()
    deps.faulty = set()
    return deps


async def resumed(world: World, workflow: AnyWorkflow, deps: Deps, state: Any = None) -> Any:
    async with Engine(world()) as engine:
        return await (await engine.resume(RUN, workflow, deps=deps, state=state)).result()


async def refused(world: World, workflow: AnyWorkflow, deps: Deps) -> IncompatibleWorkflow:
    """Return why a run does not go on; nothing was changed by asking."""
    store = world()
    async with Engine(store) as engine:
        before = await store.row(RUN), await store.records(RUN), await store.openings(RUN)
        (prospect,) = await engine.check(workflow)
        with pytest.raises(IncompatibleWorkflow) as raised:
            await engine.resume(RUN, workflow, deps=deps)
        assert (prospect.verdict, prospect.reasons) == ("refused", raised.value.changes)
        assert (await store.row(RUN), await store.records(RUN), await store.openings(RUN)) == before
    return raised.value


async def newest(world: World) -> Any:
    """Return the newest record, as a store holds it."""
    store = world()
    await store.open()
    try:
        stored = (await store.records(RUN))[-1]
        return from_text(stored.seq, stored.body, stored.content)
    finally:
        await store.close()


# --- the workflow that has versions -----------------------------------------------------------------------------------


class Clause(BaseModel):
    text: str


class Notes(BaseModel):
    notes: Annotated[list[str], append] = []
    count: int = 0


class Part(BaseModel):
    body: str
    language: str


class Findings(BaseModel):
    findings: Annotated[list[str], append] = []
    count: int = 0


Migrations = dict[int, Callable[[Stored], object]]


def first_version() -> AnyWorkflow:
    """Build a review of clauses: a map, a join, and a node behind it."""
    wf: Any = WorkflowBuilder(
        name="review", state_type=Notes, deps_type=Deps, input_type=list[str], output_type=str, on_failure="finish"
    )

    async def cut(ctx: StepContext[Notes, Deps, list[str]]) -> list[Clause]:
        await ctx.deps.enter("cut")
        ctx.state.count = len(ctx.inputs)
        return [Clause(text=text) for text in ctx.inputs]

    async def judge(ctx: StepContext[Notes, Deps, Clause]) -> Clause:
        await ctx.deps.enter(f"judge {ctx.inputs.text}")
        ctx.state.notes.append(ctx.inputs.text)
        return ctx.inputs

    async def report(ctx: StepContext[Notes, Deps, list[Clause]]) -> str:
        await ctx.deps.enter("report")
        return "never"

    cutting, judging, reporting = (wf.function(function) for function in (cut, judge, report))
    collect = wf.join(reduce_list_append, initial_factory=list[Clause], node_id="collect", parent_fork_id="clauses")
    wf.edge(wf.start_node, cutting)
    wf.edge(cutting, wf.each(judging, join=collect, fork_id="clauses"))
    wf.edge(judging, collect)
    wf.edge(collect, reporting)
    wf.edge(reporting, wf.end_node)
    built: AnyWorkflow = wf.build()
    return built


def second_version(migrations: Migrations, version: int = 2) -> AnyWorkflow:
    """Build the same with other names for everything, and a part for a clause."""
    wf: Any = WorkflowBuilder(
        name="review",
        state_type=Findings,
        deps_type=Deps,
        input_type=list[str],
        output_type=str,
        version=version,
        on_failure="finish",
    )

    async def split(ctx: StepContext[Findings, Deps, list[str]]) -> list[Part]:
        await ctx.deps.enter("split")
        return [Part(body=text, language="en") for text in ctx.inputs]

    async def assess(ctx: StepContext[Findings, Deps, Part]) -> Part:
        await ctx.deps.enter(f"assess {ctx.inputs.body}")
        ctx.state.findings.append(ctx.inputs.body)
        return ctx.inputs

    async def summarize(ctx: StepContext[Findings, Deps, list[Part]]) -> str:
        parts = sorted(f"{part.body}:{part.language}" for part in ctx.inputs)
        return f"{ctx.state.count} {sorted(ctx.state.findings)} {parts}"

    splitting, assessing, last = (wf.function(function) for function in (split, assess, summarize))
    gather = wf.join(reduce_list_append, initial_factory=list[Part], node_id="gather", parent_fork_id="parts")
    wf.edge(wf.start_node, splitting)
    wf.edge(splitting, wf.each(assessing, join=gather, fork_id="parts"))
    wf.edge(assessing, gather)
    wf.edge(gather, last)
    wf.edge(last, wf.end_node)
    for from_version, migrate in migrations.items():
        wf.migrate(from_version=from_version)(migrate)
    built: AnyWorkflow = wf.build()
    return built


def to_second(stored: Stored) -> None:
    """Rename what is called otherwise, and make parts of clauses."""
    stored.rename("cut", "split")
    stored.rename("judge", "assess")
    stored.rename("report", "summarize")
    stored.rename("clauses", "parts")
    stored.rename("collect", "gather")
    stored.state["findings"] = stored.state.pop("notes")
    for one in (*stored.inputs("judge"), *stored.items("collect")):
        one.value = {"body": one.value["text"], "language": "de"}
    for one in stored.inputs("report"):
        one.value = [{"body": clause["text"], "language": "fr"} for clause in one.value]


# --- one step ---------------------------------------------------------------------------------------------------------


async def test_everything_pending_is_migrated_and_the_run_goes_on_to_its_end(world: World) -> None:
    deps = await stopped(world, first_version(), at="judge b", inputs=["a", "b", "c"])
    state = Findings()
    output = await resumed(world, second_version({1: to_second}), deps, state)
    assert output == "3 ['a', 'b', 'c'] ['a:de', 'b:de', 'c:de']"
    assert sorted(state.findings) == ["a", "b", "c"]
    assert deps.calls["cut"] == deps.calls["assess b"] == deps.calls["judge a"] == 1
    assert deps.calls["split"] == deps.calls["assess a"] == 0


async def test_what_waits_behind_a_join_is_migrated_by_the_node_that_takes_it(world: World) -> None:
    deps = await stopped(world, first_version(), at="report", inputs=["a", "b"])
    assert await resumed(world, second_version({1: to_second}), deps) == "2 ['a', 'b'] ['a:fr', 'b:fr']"


async def test_a_check_says_that_a_run_would_be_migrated_and_writes_nothing(world: World) -> None:
    await stopped(world, first_version(), at="judge b", inputs=["a", "b", "c"])
    store = world()
    async with Engine(store) as engine:
        before = await store.row(RUN), await store.records(RUN), await store.openings(RUN)
        (prospect,) = await engine.check(second_version({1: to_second}))
        assert (await store.row(RUN), await store.records(RUN), await store.openings(RUN)) == before
    assert (prospect.verdict, prospect.version) == ("migrates", 1)
    assert prospect.reasons == (
        "It goes from version 1 to 2.",
        "'clauses' is called 'parts' now.",
        "'collect' is called 'gather' now.",
        "'cut' is called 'split' now.",
        "'judge' is called 'assess' now.",
        "'report' is called 'summarize' now.",
        "3 stored values are written anew.",
        "The state is written anew: 'notes', 'findings'.",
    )


async def test_a_migration_is_one_record_before_anything_runs_and_the_journal_alone_gives_the_position(
    world: World,
) -> None:
    deps = await stopped(world, first_version(), at="judge b", inputs=["a", "b", "c"])
    new = second_version({1: to_second})
    deps.faulty = {"assess b"}
    with pytest.raises(NodeError):
        await resumed(world, new, deps)
    store = world()
    async with Engine(store) as engine:
        told = [event async for event in engine.follow(RUN)]
        stored = await store.records(RUN)
        row = await store.row(RUN)
        assert row is not None
        position = (await read_position(store, row)).position
        trace = await engine.trace(RUN)
    kinds = [from_text(one.seq, one.body, one.content).kind for one in stored]
    assert kinds.count(Kind.MIGRATED) == 1
    assert kinds.index(Kind.MIGRATED) == len(kinds) - 2
    (migrated,) = [event for event in told if isinstance(event, RunMigrated)]
    assert (migrated.version, migrated.fingerprint) == (2, row.fingerprint)
    assert [task.node for task in position.tasks.values()] == ["assess"]
    assert {waiting.join for waiting in position.joins.values()} == {"gather"}
    assert json.loads(position.fields["findings"]) == ["a", "c"] or json.loads(position.fields["findings"]) == [
        "c",
        "a",
    ]
    assert trace.definition.version == 2
    deps.faulty = set()
    assert await resumed(world, new, deps) == "3 ['a', 'b', 'c'] ['a:de', 'b:de', 'c:de']"


async def test_a_run_that_was_migrated_is_of_the_new_version_from_then_on(world: World) -> None:
    deps = await stopped(world, first_version(), at="judge b", inputs=["a", "b"])
    deps.faulty = {"assess b"}
    with pytest.raises(NodeError):
        await resumed(world, second_version({1: to_second}), deps)
    assert str(await refused(world, first_version(), deps)) == (
        "Run 'r-1' cannot go on with this workflow, which has changed since:\n  1. The run is of version 2, and the "
        "workflow of version 1, which is older. Resume it with version 2 of the code.\nNothing was changed in the "
        "store: the code that it has followed so far can finish it."
    )
    async with Engine(world()) as engine:
        assert [summary.version for summary in await engine.runs()] == [2]


# --- several steps ----------------------------------------------------------------------------------------------------


def shouting(stored: Stored) -> None:
    """Make everything that is pending loud, under the names of version 2."""
    assert stored.version == 2
    assert {"split", "assess", "gather", "parts"} <= stored.nodes
    for one in (*stored.inputs("assess"), *stored.items("gather")):
        one.value["body"] = one.value["body"].upper()
    stored.state["count"] += 100


async def test_a_run_goes_through_one_migration_after_the_other(world: World) -> None:
    deps = await stopped(world, first_version(), at="judge b", inputs=["a", "b", "c"])
    third = second_version({1: to_second, 2: shouting}, version=3)
    assert await resumed(world, third, deps) == "103 ['B', 'a', 'c'] ['A:de', 'B:de', 'C:de']"
    async with Engine(world()) as engine:
        assert (await engine.trace(RUN)).definition.version == 3


async def test_a_version_that_nothing_migrates_from_is_refused(world: World) -> None:
    deps = await stopped(world, first_version(), at="judge b", inputs=["a", "b"])
    assert (await refused(world, second_version({}), deps)).changes == (
        (
            "The run is of version 1, and the workflow of version 2, and nothing migrates from version 1. Add "
            "@wf.migrate(from_version=1), or finish the run with version 1 of the code."
        ),
    )
    assert (
        "nothing migrates from version 1" in (await refused(world, second_version({2: shouting}, 3), deps)).changes[0]
    )


async def test_a_new_version_without_a_migration_touches_no_stored_run_even_where_everything_fits(world: World) -> None:
    def nothing(stored: Stored) -> None:
        """Leave everything as it is: it fits."""

    def made(version: int) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(name="same", deps_type=Deps, input_type=int, output_type=int, version=version)

        async def work(ctx: StepContext[None, Deps, int]) -> int:
            await ctx.deps.enter("work")
            return ctx.inputs

        working = wf.function(work)
        wf.edge(wf.start_node, working)
        wf.edge(working, wf.end_node)
        if version == 3:
            wf.migrate(from_version=1)(nothing)
            wf.migrate(from_version=2)(nothing)
        built: AnyWorkflow = wf.build()
        return built

    deps = await stopped(world, made(1), at="work", inputs=1)
    await refused(world, made(2), deps)
    assert await resumed(world, made(3), deps) == 1


# --- migrations that fail ---------------------------------------------------------------------------------------------


def raises(stored: Stored) -> None:
    stored.state["comments"].append("x")


def leaves_an_old_input(stored: Stored) -> None:
    to_second(stored)
    stored.inputs("judge")[0].value = {"text": "b"}


def leaves_no_json(stored: Stored) -> None:
    stored.state["count"] = {1, 2}


def asks_for_a_new_name(stored: Stored) -> None:
    stored.rename("judge", "assess")
    stored.inputs("assess")


def returns(stored: Stored) -> dict[str, int]:
    return {"count": 1}


BROKEN = [
    (raises, "its migration failed with KeyError: 'comments'. Nothing was changed."),
    (leaves_no_json, "its migration failed with TypeError: Object of type set is not JSON serializable. Nothing was"),
    (
        returns,
        "its migration failed with WorkflowError: It returned dict. Change what it is given, and return nothing.",
    ),
    (
        asks_for_a_new_name,
        (
            "its migration failed with InputError: Node 'assess' is still called 'judge' in version 1, which is "
            "migrated from. Ask for it by that id."
        ),
    ),
]


@pytest.mark.parametrize(("migrate", "reason"), BROKEN)
async def test_a_migration_that_fails_changes_nothing_and_says_why(
    world: World, migrate: Callable[[Stored], object], reason: str
) -> None:
    deps = await stopped(world, first_version(), at="judge b", inputs=["a", "b"])
    error = await refused(world, second_version({1: migrate}), deps)
    assert isinstance(error, MigrationError)
    assert (error.from_version, error.to_version) == (1, 2)
    assert str(error).startswith(f"Run 'r-1' cannot be migrated from version 1: {reason}")
    assert await resumed(world, second_version({1: to_second}), deps) == "2 ['a', 'b'] ['a:de', 'b:de']"


async def test_what_a_migration_makes_and_the_workflow_does_not_take_is_listed(world: World) -> None:
    deps = await stopped(world, first_version(), at="judge b", inputs=["a", "b"])
    error = await refused(world, second_version({1: leaves_an_old_input}), deps)
    assert isinstance(error, MigrationError)
    assert str(error).startswith(
        "Run 'r-1' cannot be migrated from version 1 to 2, as what came of it does not fit the workflow. Nothing was "
        "changed:\n  1. The stored input of node 'judge' does not fit any more: at input.body, it is required"
    )


async def test_two_joins_that_wait_cannot_become_one(world: World) -> None:
    def made(version: int) -> AnyWorkflow:
        g: Any = WorkflowBuilder(
            name="joins", input_type=int, output_type=list[Any], deps_type=Deps, version=version, on_failure="finish"
        )

        async def quick(ctx: StepContext[None, Deps, int]) -> int:
            return 1

        async def slow(ctx: StepContext[None, Deps, int]) -> int:
            await ctx.deps.enter("slow")
            return 2

        steps = [g.step(quick, node_id=f"quick_{one}") for one in (1, 2)] + [g.step(slow)]
        names = ("left", "right") if version == 1 else ("both", "other")
        left, right = (g.join(reduce_list_append, initial_factory=list[int], node_id=name) for name in names)
        end = g.join(reduce_list_append, initial_factory=list[Any], node_id="end")
        g.add(g.edge_from(g.start_node).to(*steps))
        g.add(g.edge_from(steps[0]).to(left), g.edge_from(steps[1]).to(right), g.edge_from(steps[2]).to(left, right))
        g.add(g.edge_from(left).to(end), g.edge_from(right).to(end), g.edge_from(end).to(g.end_node))

        def merge(stored: Stored) -> None:
            stored.rename("left", "both")
            stored.rename("right", "both")

        if version == 2:
            g.migrate(from_version=1)(merge)
        built: AnyWorkflow = g.build()
        return built

    deps = await stopped(world, made(1), at="slow", inputs=1)
    error = await refused(world, made(2), deps)
    assert error.changes == ("Joins 'left' and 'right' both have items waiting, and would both be called 'both' now.",)


# --- declaring them ---------------------------------------------------------------------------------------------------


def declared(version: int, *from_versions: int) -> AnyWorkflow:
    wf = WorkflowBuilder(name="declared", input_type=int, output_type=int, version=version)
    for number in from_versions:
        wf.migrate(from_version=number)(to_second)
    wf.edge(wf.start_node, wf.end_node)
    return wf.build()


def test_migrations_that_do_not_lead_to_the_version_are_faults() -> None:
    assert set(declared(3, 1, 2).migrations) == {1, 2}
    assert set(declared(3, 2).migrations) == {2}
    with pytest.raises(UnsoundWorkflow) as raised:
        declared(3, 1, 3)
    assert raised.value.faults == (
        (
            "Migration 'to_second' leads from version 1 to 2, and none leads on to 3. Add "
            "@wf.migrate(from_version=2), or remove this one."
        ),
        (
            "Migration 'to_second' is from version 3, and the workflow is of version 3, so that nothing could be "
            "migrated. Raise the version: version=4."
        ),
    )


def test_a_second_migration_from_one_version_is_refused_at_once() -> None:
    with pytest.raises(WorkflowError, match="There is a migration from version 1 already"):
        declared(3, 1, 1)


def test_a_migration_that_would_wait_is_a_fault() -> None:
    wf = WorkflowBuilder(name="waits", input_type=int, output_type=int, version=2)

    @wf.migrate(from_version=1)
    async def later(stored: Stored) -> None: ...

    wf.edge(wf.start_node, wf.end_node)
    with pytest.raises(UnsoundWorkflow, match="Migration 'later' is not a plain function"):
        wf.build()


def test_a_graph_that_somebody_else_built_can_have_migrations() -> None:
    graph = declared(1)
    made = Workflow.from_graph(graph, version=2, migrations={1: to_second})
    assert (made.version, dict(made.migrations)) == (2, {1: to_second})
    assert Workflow.from_graph(made, name="other").migrations == made.migrations
    assert Workflow.from_graph(made) is made
    with pytest.raises(UnsoundWorkflow, match="is from version 2, and the workflow is of version 2"):
        Workflow.from_graph(graph, version=2, migrations={2: to_second})


# --- a process that ends in between -----------------------------------------------------------------------------------


class Dies(MemoryStore):
    """A store whose disk is full for a record of one kind, or right after it."""

    def __init__(self, journals: Journals, *, after: bool) -> None:
        super().__init__(journals)
        self.after = after
        self.full = False

    def append(self, entry: Entry, acknowledge: Acknowledge) -> None:
        migrates = from_text(entry.seq, entry.body, entry.content).kind is Kind.MIGRATED
        if self.full or (migrates and not self.after):
            acknowledge(StoreError("The disk is full."))
            return
        self.full = migrates
        super().append(entry, acknowledge)


@pytest.mark.parametrize("after", [False, True])
async def test_an_end_right_before_or_behind_the_record_is_harmless(after: bool) -> None:
    journals = Journals()
    deps = await stopped(lambda: MemoryStore(journals), first_version(), at="judge b", inputs=["a", "b", "c"])
    seen: list[int] = []

    def counted(stored: Stored) -> None:
        seen.append(stored.version)
        to_second(stored)

    new = second_version({1: counted})
    async with Engine(Dies(journals, after=after)) as engine:
        with pytest.raises(StoreError, match="The disk is full"):
            await (await engine.resume(RUN, new, deps=deps)).result()
    assert journals.rows[RUN].owner is None
    assert deps.calls["assess b"] == (1 if after else 0)
    times = len(seen)
    assert await resumed(lambda: MemoryStore(journals), new, deps) == "3 ['a', 'b', 'c'] ['a:de', 'b:de', 'c:de']"
    assert set(seen) == {1}
    assert (len(seen) == times) is after  # what is recorded is not carried out again
    kinds = [from_text(one.seq, one.body, one.content).kind for one in journals.records[RUN]]
    assert kinds.count(Kind.MIGRATED) == 1


# --- the state and those who are at work on it ------------------------------------------------------------------------


def side_by_side(state: Any, field: str, *, version: int = 1, migrate: Any = None) -> AnyWorkflow:
    """Build two nodes side by side; each sets a field of the state that has no merger."""
    wf: Any = WorkflowBuilder(
        name="pair", state_type=state, deps_type=Deps, input_type=int, output_type=list[int], version=version,
        on_failure="finish",
    )  # fmt: skip

    def body(name: str) -> Any:
        async def touch(ctx: StepContext[Any, Deps, int]) -> int:
            await ctx.deps.enter(name)
            setattr(ctx.state, field, name)
            return 1

        return touch

    left, right = (wf.function(node_id=name)(body(name)) for name in ("left", "right"))
    both = wf.join(reduce_list_append, initial_factory=list[int], node_id="both")
    wf.edge(wf.start_node, left)
    wf.edge(wf.start_node, right)
    wf.edge(left, both)
    wf.edge(right, both)
    wf.edge(both, wf.end_node)
    if migrate is not None:
        wf.migrate(from_version=1)(migrate)
    built: AnyWorkflow = wf.build()
    return built


class Owned(BaseModel):
    owner: str = ""
    other: str = ""


class Held(BaseModel):
    holder: str = ""
    other: str = ""


def to_holder(stored: Stored) -> None:
    stored.state["holder"] = stored.state.pop("owner")


async def test_a_task_that_comes_too_late_for_a_field_still_does_under_its_new_name(world: World) -> None:
    deps = await stopped(world, side_by_side(Owned, "owner"), at="right", inputs=1)
    with pytest.raises(StateConflict, match="both changed the field 'holder' of the state"):
        await resumed(world, side_by_side(Held, "holder", version=2, migrate=to_holder), deps)


async def test_what_a_migration_changes_is_in_nobody_s_way(world: World) -> None:
    def to_second_other(stored: Stored) -> None:
        to_holder(stored)
        stored.state["other"] = "migrated"

    deps = await stopped(world, side_by_side(Owned, "owner"), at="right", inputs=1)
    state = Held()
    new = side_by_side(Held, "other", version=2, migrate=to_second_other)
    assert await resumed(world, new, deps, state) == [1, 1]
    assert (state.holder, state.other) == ("left", "right")


async def test_a_migration_can_give_and_take_the_whole_state(world: World) -> None:
    def made(state: Any, version: int, migrate: Any = None) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(
            name="made", state_type=state, deps_type=Deps, input_type=int, output_type=str, version=version
        )

        async def work(ctx: StepContext[Any, Deps, int]) -> str:
            await ctx.deps.enter("work")
            return repr(ctx.state)

        working = wf.function(work)
        wf.edge(wf.start_node, working)
        wf.edge(working, wf.end_node)
        for number in range(1, version):
            wf.migrate(from_version=number)(migrate)
        built: AnyWorkflow = wf.build()
        return built

    def give(stored: Stored) -> None:
        assert stored.state is None
        stored.state = {"holder": "x", "other": "y"}

    def take(stored: Stored) -> None:
        stored.state = None

    deps = await stopped(world, made(type(None), 1), at="work", inputs=1)
    deps.faulty = {"work"}
    with pytest.raises(NodeError):
        await resumed(world, made(Held, 2, give), deps)
    deps.faulty = set()
    assert await resumed(world, made(type(None), 3, take), deps) == "None"


# --- what is kept, streamed, and inside -------------------------------------------------------------------------------


async def test_an_output_that_is_kept_is_migrated_and_routed(world: World) -> None:
    def made(version: int, given: Any, migrate: Any = None) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(name="made", deps_type=Deps, input_type=int, output_type=str, version=version)

        async def begin(ctx: StepContext[None, Deps, int]) -> Any:
            await ctx.deps.enter("begin")
            return given(ctx.inputs)

        begin.__annotations__["return"] = given

        async def last(ctx: StepContext[None, Deps, Any]) -> str:
            return repr(ctx.inputs)

        last.__annotations__["ctx"] = StepContext[None, Deps, given]

        def choose(found: Any) -> bool:
            if version == 1:
                raise ValueError("as told")
            return True

        beginning, ending = wf.function(begin), wf.function(last)
        wf.edge(wf.start_node, beginning)
        wf.edge(beginning, ending, when=choose)
        wf.edge(beginning, ending, otherwise=True)
        wf.edge(ending, wf.end_node)
        if migrate is not None:
            wf.migrate(from_version=1)(migrate)
        built: AnyWorkflow = wf.build()
        return built

    def listed(stored: Stored) -> None:
        (one,) = stored.outputs("begin")
        assert stored.inputs("begin") == []
        one.value = [one.value]

    async with Engine(world()) as engine:
        run = await engine.start(made(1, int), inputs=7, deps=Deps(), run_id=RUN)
        with pytest.raises(WorkflowError):
            await run.result()
    deps = Deps()
    assert await resumed(world, made(2, list[int], listed), deps) == "[7]"
    assert deps.calls == {}


async def test_what_flows_on_behind_a_choice_that_is_kept_is_migrated_with_it(world: World) -> None:
    def made(version: int, kind: Any, migrate: Any = None) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(name="made", deps_type=Deps, input_type=kind, output_type=str, version=version)

        async def size(ctx: StepContext[None, Deps, Any]) -> Literal["big", "small"]:
            await ctx.deps.enter("size")
            return "big"

        size.__annotations__["ctx"] = StepContext[None, Deps, kind]

        def fails(found: StepContext[Any, Any, Any]) -> Any:
            if version == 1:
                raise ValueError("as told")
            return found.inputs

        async def last(ctx: StepContext[None, Deps, Any]) -> str:
            return repr(ctx.inputs)

        last.__annotations__["ctx"] = StepContext[None, Deps, kind]
        deciding, ending = wf.decide(size), wf.function(last)
        wf.edge(wf.start_node, deciding)
        wf.edge(deciding, ending, when="big")
        wf.edge(deciding, ending, when="small")
        wf.add(wf.edge_from(ending).transform(fails).to(wf.end_node))
        if migrate is not None:
            wf.migrate(from_version=1)(migrate)
        built: AnyWorkflow = wf.build()
        return built

    def lengthen(stored: Stored) -> None:
        for one in (*stored.inputs("last"), *stored.inputs("size")):
            one.value = {"body": one.value["text"], "language": "it"}
        for one in stored.outputs("last"):
            one.value = one.value.upper()

    async with Engine(world()) as engine:
        run = await engine.start(made(1, Clause), inputs=Clause(text="a"), deps=Deps(), run_id=RUN)
        with pytest.raises(WorkflowError):
            await run.result()
    assert await resumed(world, made(2, Part, lengthen), Deps()) == "CLAUSE(TEXT='A')"


async def test_the_node_and_the_map_of_a_stream_can_be_renamed(world: World) -> None:
    def made(node: str, fork: str, version: int, migrate: Any = None) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(name="made", deps_type=Deps, input_type=int, output_type=list[int], version=version)

        async def give(ctx: StepContext[None, Deps, int]) -> AsyncIterator[int]:
            for number in range(ctx.inputs):
                await ctx.deps.enter(f"item {number}")
                yield number

        async def double(ctx: StepContext[None, Deps, int]) -> int:
            return ctx.inputs * 2

        giving = wf.stream(node_id=node)(give)
        collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect", parent_fork_id=fork)
        wf.edge(wf.start_node, giving)
        wf.edge(giving, wf.each(wf.function(double), join=collect, fork_id=fork))
        wf.edge(collect, wf.end_node)
        if migrate is not None:
            wf.migrate(from_version=1)(migrate)
        built: AnyWorkflow = wf.build()
        return built

    def longer(stored: Stored) -> None:
        stored.rename("give", "hand_out")
        stored.rename("things", "items")
        (one,) = stored.inputs("give")
        one.value += 1

    deps = await stopped(world, made("give", "things", 1), at="item 3", inputs=5)
    assert sorted(await resumed(world, made("hand_out", "items", 2, longer), deps)) == [0, 2, 4, 6, 8, 10]


async def test_a_run_inside_a_run_has_its_own_version(world: World) -> None:
    def outer(child: AnyWorkflow) -> AnyWorkflow:
        wf: Any = WorkflowBuilder(name="outer", deps_type=Deps, input_type=list[str], output_type=str)
        inner = wf.subworkflow(child, node_id="inner")
        wf.edge(wf.start_node, inner)
        wf.edge(inner, wf.end_node)
        built: AnyWorkflow = wf.build()
        return built

    deps = await stopped(world, outer(first_version()), at="judge b", inputs=["a", "b"])
    new = outer(second_version({1: to_second}))
    async with Engine(world()) as engine:
        assert [(one.workflow, one.verdict) for one in await engine.check(new)] == [
            ("outer", "resumes"),
            ("review", "migrates"),
        ]
    assert await resumed(world, new, deps) == "2 ['a', 'b'] ['a:de', 'b:de']"


# --- names ------------------------------------------------------------------------------------------------------------


async def test_two_nodes_can_swap_their_ids(world: World) -> None:
    deps = await stopped(world, chain(["a", "b", "c"]), at="b", inputs=1)

    def swap(stored: Stored) -> None:
        stored.rename("a", "b")
        stored.rename("b", "a")
        stored.rename("nobody", "c")

    swapped = Workflow.from_graph(chain(["b", "a", "c"]), version=2, migrations={1: swap})
    assert await resumed(world, swapped, deps) == 4
    assert dict(deps.calls) == {"a": 2, "b": 1, "c": 1}
    async with Engine(world()) as engine:
        trace = await engine.trace(RUN)
    assert [(task.node, task.status) for task in trace.tasks] == [
        ("b", "completed"),
        ("a", "completed"),
        ("c", "completed"),
    ]


async def test_tasks_of_two_nodes_can_become_tasks_of_one(world: World) -> None:
    deps = await stopped(world, chain(["a", "b", "c"]), at="b", inputs=1)

    def merge(stored: Stored) -> None:
        stored.rename("b", "c")

    merged = Workflow.from_graph(chain(["a", "c"]), version=2, migrations={1: merge})
    assert await resumed(world, merged, deps) == 3
    async with Engine(world()) as engine:
        trace = await engine.trace(RUN)
    assert [(task.node, task.visit) for task in trace.tasks] == [("a", 1), ("c", 1)]


@pytest.mark.parametrize("format", ["text", "mermaid", "dot", "html"])
async def test_a_run_is_drawn_by_its_newest_definition_with_what_it_has_used_of_earlier_ones(
    format: Literal["text", "mermaid", "dot", "html"],
) -> None:
    journals = Journals()
    world: World = lambda: MemoryStore(journals)  # noqa: E731
    deps = await stopped(world, chain(["first", "second", "third"]), at="third", inputs=1)
    assert await resumed(world, chain(["second", "third", "fourth"]), deps) == 5
    async with Engine(world()) as engine:
        trace = await engine.trace(RUN)
    marks = {node.id: node.marks for node in trace.definition.nodes}
    assert marks == {"__start__": (), "__end__": (), "second": (), "third": (), "fourth": (), "first": ("removed",)}
    picture = render(trace, format)
    assert all(name in picture for name in ("first", "second", "third", "fourth"))


async def test_what_was_before_a_change_is_told_by_the_definition_of_then_and_what_came_after_by_the_newer(
    world: World,
) -> None:
    deps = await stopped(world, first_version(), at="judge b", inputs=["a", "b", "c"])
    assert await resumed(world, second_version({1: to_second}), deps) == "3 ['a', 'b', 'c'] ['a:de', 'b:de', 'c:de']"
    async with Engine(world()) as engine:
        told = [event async for event in engine.follow(RUN)]
        (migrated,) = [event.seq for event in told if isinstance(event, RunMigrated)]
        late = [event async for event in engine.follow(RUN, after=migrated)]
    edges = [
        (event.source, event.target, event.branch, event.times, event.seq > migrated)
        for event in told
        if isinstance(event, EdgeTaken)
    ]
    assert ("clauses", "judge", 0, 3, False) in edges
    assert ("assess", "gather", 0, 1, True) in edges
    assert late == [event for event in told if event.seq > migrated]


async def test_a_migrated_run_moves_to_another_store_with_all_that_it_has_followed(world: World) -> None:
    deps = await stopped(world, first_version(), at="judge b", inputs=["a", "b", "c"])
    deps.faulty = {"assess b"}
    new = second_version({1: to_second})
    with pytest.raises(NodeError):
        await resumed(world, new, deps)
    deps.faulty = set()
    there = MemoryStore()
    async with Engine(world()) as here, Engine(there) as other:
        await other.import_run([line async for line in here.export(RUN)])
        assert await other.trace(RUN) == await here.trace(RUN)
        assert await other.verify() == []
        assert await (await other.resume(RUN, new, deps=deps)).result() == (
            "3 ['a', 'b', 'c'] ['a:de', 'b:de', 'c:de']"
        )


async def test_a_definition_that_a_run_has_followed_and_that_is_gone_is_found(world: World) -> None:
    deps = await stopped(world, first_version(), at="judge b", inputs=["a", "b", "c"])
    await resumed(world, second_version({1: to_second}), deps)
    async with Engine(world()) as engine:
        lines = [line async for line in engine.export(RUN)]
    journals = Journals()
    async with Engine(MemoryStore(journals)) as engine:
        await engine.import_run(lines)
        first = describe(first_version()).fingerprint
        del journals.definitions[first]
        (finding,) = await engine.verify()
    assert "is damaged: it is missing" in finding.text
