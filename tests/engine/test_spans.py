"""OpenTelemetry spans: one per run and one per attempt, named as pydantic-graph names them; none if nobody listens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider, StatusCode

from milepost.engine.current import current
from milepost.engine.engine import Engine
from milepost.engine.errors import NodeError, RoutingError, WorkflowError
from milepost.engine.install import install
from milepost.engine.policy import Retry
from milepost.engine.spans import spans_for
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.typed import GraphBuilder, Join, ReduceFirstValue, StepContext, reduce_sum
from milepost.engine.workflow import Workflow
from milepost.workflows.builder import WorkflowBuilder

pytestmark = pytest.mark.anyio

Number = StepContext[None, None, int]


class Recorded:
    """The spans that were ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def all(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a name, in the order in which they began."""
        found = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return sorted(found, key=lambda span: span.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        (found,) = self.all(name)
        return found

    def tree(self) -> dict[str, str | None]:
        """Return the name of the parent of every span, by its own name."""
        spans = self._exporter.get_finished_spans()
        names = {span.context.span_id: span.name for span in spans if span.context}
        return {span.name: names[span.parent.span_id] if span.parent else None for span in spans}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run everything on both event loops."""
    backend: str = request.param
    return backend


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Collect spans, as a program does that has set a tracer provider."""
    recorded = Recorded()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", recorded.provider)
    return recorded


def adding(seen: list[Any] | None = None, **options: Any) -> Workflow[None, None, int, int]:
    """Build a workflow of two nodes; the first writes down what it knows about its attempt."""
    wf = WorkflowBuilder[None, None, int, int](name="adding", input_type=int, output_type=int, **options)

    @wf.function
    async def first(ctx: Number) -> int:
        if seen is not None:
            seen.append(current())
        return ctx.inputs + 1

    @wf.function
    async def second(ctx: Number) -> int:
        return ctx.inputs * 2

    wf.edge(wf.start_node, first)
    wf.edge(first, second)
    wf.edge(second, wf.end_node)
    return wf.build()


def error_of(span: ReadableSpan) -> tuple[str | None, list[Any]]:
    """Return what a span says about an error: the text of its status, and the exceptions that it recorded."""
    told = [event.attributes["exception.type"] for event in span.events if event.attributes]
    assert (span.status.status_code is StatusCode.ERROR) == bool(told)
    return span.status.description, told


@pytest.mark.parametrize("store", [None, "memory:"])
async def test_a_run_has_a_span_and_in_it_every_attempt(recorded: Recorded, store: str | None) -> None:
    assert await adding().run(inputs=1, store=store) == 4

    assert recorded.tree() == {
        "run graph adding": None,
        "run node first": "run graph adding",
        "run node second": "run graph adding",
    }


async def test_spans_name_the_run_the_task_and_the_attempt(recorded: Recorded) -> None:
    seen: list[Any] = []
    await adding(seen).run(inputs=1, store=MemoryStore(), run_id="run-1")

    assert recorded.one("run graph adding").attributes == {
        "milepost.workflow.name": "adding",
        "milepost.workflow.version": 1,
        "milepost.run.id": "run-1",
    }
    assert recorded.one("run node first").attributes == {
        "node_id": "first",
        "milepost.run.id": "run-1",
        "milepost.task.key": seen[0].task,
        "milepost.task.attempt": 1,
    }
    scope = recorded.one("run node first").instrumentation_scope
    assert scope is not None
    assert scope.name == "milepost"


async def test_graphs_behind_install_have_the_spans_that_pydantic_graph_gives_them(recorded: Recorded) -> None:
    g = GraphBuilder[None, None, int, int](input_type=int, output_type=int)

    @g.step
    async def double(ctx: Number) -> int:
        return ctx.inputs * 2

    g.add(g.edge_from(g.start_node).to(double), g.edge_from(double).to(g.end_node))
    doubling = g.build()
    with install():
        await doubling.run(inputs=1)

    assert recorded.tree() == {"run graph doubling": None, "run node double": "run graph doubling"}


async def test_every_attempt_has_a_span_and_the_one_that_failed_says_so(recorded: Recorded) -> None:
    wf = WorkflowBuilder[None, None, int, int](name="stubborn", input_type=int, output_type=int)

    @wf.function(retry=Retry(attempts=2))
    async def second_time(ctx: Number) -> int:
        if current().attempt == 1:
            raise ValueError("not yet")
        return ctx.inputs

    wf.edge(wf.start_node, second_time)
    wf.edge(second_time, wf.end_node)
    await wf.build().run(inputs=1)

    one, two = recorded.all("run node second_time")
    assert error_of(one) == ("ValueError: not yet", ["ValueError"])
    assert error_of(two) == (None, [])
    assert [(span.attributes or {})["milepost.task.attempt"] for span in (one, two)] == [1, 2]
    assert error_of(recorded.one("run graph stubborn")) == (None, [])


async def test_a_node_s_exception_is_recorded_on_its_span_and_on_that_of_the_run(recorded: Recorded) -> None:
    wf = WorkflowBuilder[None, None, int, int](name="failing", input_type=int, output_type=int)

    @wf.function
    async def fails(ctx: Number) -> int:
        raise KeyError("missing")

    wf.edge(wf.start_node, fails)
    wf.edge(fails, wf.end_node)
    with pytest.raises(NodeError):
        await wf.build().run(inputs=1)

    for name in ("run node fails", "run graph failing"):
        assert error_of(recorded.one(name)) == ("KeyError: 'missing'", ["KeyError"])


async def test_an_exception_on_an_edge_is_recorded_on_the_span_of_the_run(recorded: Recorded) -> None:
    g = GraphBuilder[None, None, int, int](name="edge", input_type=int, output_type=int)

    @g.step
    async def step(ctx: Number) -> int:
        return ctx.inputs

    def fails(ctx: Number) -> int:
        raise KeyError("on the way")

    g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).transform(fails).to(g.end_node))
    with pytest.raises(RoutingError):
        await Workflow.from_graph(g.build()).run(inputs=1)

    assert error_of(recorded.one("run node step")) == (None, [])
    assert error_of(recorded.one("run graph edge")) == ("KeyError: 'on the way'", ["KeyError"])


async def test_a_run_that_comes_to_nothing_says_so_on_its_span(recorded: Recorded) -> None:
    g = GraphBuilder[None, None, list[int], int](name="nothing", input_type=list[int], output_type=int)

    @g.step
    async def each(ctx: Number) -> int:
        return ctx.inputs

    g.add(g.edge_from(g.start_node).map().to(each), g.edge_from(each).to(g.end_node))
    with pytest.raises(WorkflowError):
        await Workflow.from_graph(g.build()).run(inputs=[])

    assert error_of(recorded.one("run graph nothing"))[1] == ["milepost.engine.errors.WorkflowError"]


async def test_a_timeout_is_an_error_of_the_attempt(recorded: Recorded) -> None:
    wf = WorkflowBuilder[None, None, int, int](name="slow", input_type=int, output_type=int)

    @wf.function(timeout=0.001)
    async def sleeps(ctx: Number) -> int:
        await anyio.sleep_forever()
        return 1

    wf.edge(wf.start_node, sleeps)
    wf.edge(sleeps, wf.end_node)
    with pytest.raises(NodeError):
        await wf.build().run(inputs=1)

    assert error_of(recorded.one("run node sleeps")) == (
        "TimeoutError: it took longer than 0.001 seconds",
        ["TimeoutError"],
    )


async def test_attempts_side_by_side_have_the_run_as_parent_and_to_be_cancelled_is_no_error(recorded: Recorded) -> None:
    g = GraphBuilder[None, None, int, int](name="race", input_type=int, output_type=int)

    both = anyio.Event()

    @g.step
    async def wins(ctx: Number) -> int:
        await both.wait()
        return ctx.inputs

    @g.step
    async def loses(ctx: Number) -> int:
        both.set()
        await anyio.sleep_forever()
        return ctx.inputs

    first: Join[None, None, int, int] = g.join(ReduceFirstValue[int](), initial=0, node_id="first")
    g.add(
        g.edge_from(g.start_node).to(wins, loses),
        g.edge_from(wins, loses).to(first),
        g.edge_from(first).to(g.end_node),
    )
    await Workflow.from_graph(g.build()).run(inputs=1)

    assert recorded.tree() == {
        "run graph race": None,
        "run node wins": "run graph race",
        "run node loses": "run graph race",
    }
    assert error_of(recorded.one("run node loses")) == (None, [])


async def test_reading_a_stream_has_a_span_of_its_own(recorded: Recorded) -> None:
    g = GraphBuilder[None, None, int, int](name="stream", input_type=int, output_type=int)

    @g.stream
    async def items(ctx: Number) -> AsyncIterator[int]:
        yield ctx.inputs
        raise KeyError("run dry")

    @g.step
    async def each(ctx: Number) -> int:
        return ctx.inputs

    total = g.join(reduce_sum, initial=0)
    g.add(
        g.edge_from(g.start_node).to(items),
        g.edge_from(items).map().to(each),
        g.edge_from(each).to(total),
        g.edge_from(total).to(g.end_node),
    )
    with pytest.raises(NodeError):
        await Workflow.from_graph(g.build()).run(inputs=1)

    assert error_of(recorded.one("run node items")) == (None, [])
    assert error_of(recorded.one("read stream items")) == ("KeyError: 'run dry'", ["KeyError"])
    assert set(recorded.tree().values()) == {None, "run graph stream"}


async def test_what_a_body_opens_is_inside_its_attempt(recorded: Recorded) -> None:
    wf = WorkflowBuilder[None, None, int, int](name="busy", input_type=int, output_type=int)
    tracer = recorded.provider.get_tracer("the author's")

    @wf.function
    async def works(ctx: Number) -> int:
        with tracer.start_as_current_span("request"):
            return ctx.inputs

    wf.edge(wf.start_node, works)
    wf.edge(works, wf.end_node)
    with tracer.start_as_current_span("caller") as caller:
        await wf.build().run(inputs=1)
        assert trace.get_current_span() is caller

    assert recorded.tree() == {
        "caller": None,
        "run graph busy": "caller",
        "run node works": "run graph busy",
        "request": "run node works",
    }


async def test_a_run_in_the_background_belongs_to_what_started_it(recorded: Recorded) -> None:
    tracer = recorded.provider.get_tracer("the author's")
    async with Engine(MemoryStore()) as engine:
        with tracer.start_as_current_span("request"):
            run = await engine.start(adding(), inputs=1)
        await run.result()

    assert recorded.tree()["run graph adding"] == "request"


async def test_a_resumed_run_has_a_second_span_of_the_same_run_id(recorded: Recorded) -> None:
    wf = WorkflowBuilder[None, None, int, int](name="resumed", input_type=int, output_type=int)
    broken = [True]

    @wf.function
    async def first(ctx: Number) -> int:
        return ctx.inputs

    @wf.function
    async def second(ctx: Number) -> int:
        if broken.pop():
            raise KeyError("down")
        return ctx.inputs

    wf.edge(wf.start_node, first)
    wf.edge(first, second)
    wf.edge(second, wf.end_node)
    workflow, store = wf.build(), MemoryStore()
    with pytest.raises(NodeError):
        await workflow.run(inputs=1, store=store, run_id="run-1")
    broken.append(False)
    await workflow.run(inputs=1, store=store, run_id="run-1")

    assert len(recorded.all("run node first")) == 1
    failed, done = recorded.all("run graph resumed")
    assert [(span.attributes or {})["milepost.run.id"] for span in (failed, done)] == ["run-1", "run-1"]
    assert [error_of(span)[1] for span in (failed, done)] == [["KeyError"], []]


async def test_a_span_that_is_given_takes_the_place_of_that_of_the_run(recorded: Recorded) -> None:
    tracer = recorded.provider.get_tracer("the author's")
    for store in (None, MemoryStore()):
        await adding().run(inputs=1, store=store, span=tracer.start_as_current_span("mine"))

    assert recorded.tree() == {"mine": None, "run node first": "mine", "run node second": "mine"}


async def test_a_span_that_is_given_is_not_that_of_a_run_inside_it(recorded: Recorded) -> None:
    inner = adding()
    wf = WorkflowBuilder[None, None, int, int](name="outer", input_type=int, output_type=int)

    @wf.function
    async def nests(ctx: Number) -> int:
        return await inner.run(inputs=ctx.inputs)

    wf.edge(wf.start_node, nests)
    wf.edge(nests, wf.end_node)
    await wf.build().run(inputs=1, span=recorded.provider.get_tracer("mine").start_as_current_span("mine"))

    assert recorded.tree() == {
        "mine": None,
        "run node nests": "mine",
        "run graph adding": "run node nests",
        "run node first": "run graph adding",
        "run node second": "run graph adding",
    }


async def test_a_workflow_as_a_node_has_its_run_inside_that_node(recorded: Recorded) -> None:
    wf = WorkflowBuilder[None, None, int, int](name="parent", input_type=int, output_type=int)
    child = wf.subworkflow(adding(), node_id="child")
    wf.edge(wf.start_node, child)
    wf.edge(child, wf.end_node)
    for store in (None, MemoryStore()):
        assert await wf.build().run(inputs=1, store=store) == 4

    tree = recorded.tree()
    assert (tree["run graph adding"], tree["run node child"]) == ("run node child", "run graph parent")
    assert tree["run node first"] == "run graph adding"


async def test_a_graph_that_is_not_to_be_instrumented_has_no_spans_but_the_given_one(recorded: Recorded) -> None:
    workflow = adding(auto_instrument=False)
    await workflow.run(inputs=1)
    assert recorded.tree() == {}

    await workflow.run(inputs=1, span=recorded.provider.get_tracer("mine").start_as_current_span("mine"))
    assert recorded.tree() == {"mine": None}


def test_nothing_is_opened_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = adding()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    assert spans_for(workflow, "run-1") is None

    monkeypatch.setattr(trace, "_TRACER_PROVIDER", NoOpTracerProvider())
    assert spans_for(workflow, "run-1") is None

    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider())
    assert spans_for(workflow, "run-1") is None


def test_nothing_is_needed_when_opentelemetry_is_not_installed(tmp_path: Path) -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None  # what a failing import leaves behind
from milepost import StepContext, WorkflowBuilder

wf = WorkflowBuilder(name="alone", input_type=int, output_type=int)

@wf.function
async def double(ctx: StepContext[None, None, int]) -> int:
    return ctx.inputs * 2

wf.edge(wf.start_node, double)
wf.edge(double, wf.end_node)
print(wf.build().run_sync(inputs=21))
"""
    (tmp_path / "alone.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "alone.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
