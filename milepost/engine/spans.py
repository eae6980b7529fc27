"""OpenTelemetry spans under the names that pydantic-graph gives them: one per run, in it one per attempt of a task.

    run graph NAME           milepost.workflow.name, milepost.workflow.version, milepost.run.id
    ├── run node ID          node_id, milepost.run.id, milepost.task.key, milepost.task.attempt
    └── read stream ID       the same; from the first item of a node's stream to the last

Nothing is done, and during a run nothing is even looked at, when OpenTelemetry is not installed, when nobody collects
spans, or when the graph was built with `auto_instrument=False`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from milepost.engine.errors import NodeError, RoutingError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

SCOPE = "milepost"
"""The instrumentation scope, by which a backend tells our spans from pydantic-graph's of the same names."""


class Instrumented(Protocol):
    """What a workflow says about its spans."""

    @property
    def name(self) -> str | None: ...

    @property
    def version(self) -> int: ...

    @property
    def auto_instrument(self) -> bool: ...


_given: ContextVar[Instrumented | None] = ContextVar("milepost_given_span", default=None)
"""The workflow whose next run has a span already, because the caller gave one."""


class Spans:
    """Opens the spans of one run. Made by `spans_for`."""

    __slots__ = ("_parent", "_run_id", "_tracer", "_workflow")

    def __init__(self, tracer: Tracer, workflow: Instrumented, run_id: str) -> None:
        self._tracer = tracer
        self._workflow = workflow
        self._run_id = run_id
        self._parent: Context | None = None

    @contextmanager
    def graph(self, failure: Callable[[], BaseException | None]) -> Generator[None]:
        """Open the span of the run, unless the caller gave one that is open by now.

        failure: asked at the end for what the run failed with, which is recorded on the span.
        """
        from opentelemetry.context import get_current

        given = _given.get() is self._workflow
        token = _given.set(None)  # it is the span of this run, not of those that the nodes start
        try:
            if given:
                self._parent = get_current()
                yield
                return
            attributes: dict[str, str | int] = {
                "milepost.workflow.name": str(self._workflow.name),
                "milepost.workflow.version": self._workflow.version,
                "milepost.run.id": self._run_id,
            }
            name = f"run graph {self._workflow.name}"
            with self._tracer.start_as_current_span(name, attributes=attributes) as span:
                self._parent = get_current()
                yield
                record(span, failure())
        finally:
            _given.reset(token)

    def attempt(self, node: str, task: str, number: int, *, reads: bool) -> AbstractContextManager[object]:
        """Open the span of one attempt, under that of the run. An exception that leaves it is recorded on it.

        reads: the attempt reads the stream that the node gave. To be cancelled is not an error to OpenTelemetry.
        """
        name = f"read stream {node}" if reads else f"run node {node}"
        attributes: dict[str, str | int] = {
            "node_id": node,
            "milepost.run.id": self._run_id,
            "milepost.task.key": task,
            "milepost.task.attempt": number,
        }
        return self._tracer.start_as_current_span(name, context=self._parent, attributes=attributes)


def spans_for(workflow: Instrumented, run_id: str) -> Spans | None:
    """Return what opens the spans of a run, or None when nobody would see them. To be asked once per run."""
    if not workflow.auto_instrument:
        return None
    tracer = find_tracer()
    return None if tracer is None else Spans(tracer, workflow, run_id)


@contextmanager
def entered(span: AbstractContextManager[object] | None, workflow: Instrumented) -> Generator[None]:
    """Enter the span that a caller gave for a run of `workflow`, if there is one, in place of our own."""
    if span is None:
        yield
        return
    with span:
        token = _given.set(workflow)
        try:
            yield
        finally:
            _given.reset(token)


def find_tracer() -> Tracer | None:
    """Return a tracer whose spans are collected, None when there is none."""
    if not is_installed():
        return None
    from opentelemetry.trace import NoOpTracer, NoOpTracerProvider, ProxyTracerProvider, get_tracer_provider

    provider = get_tracer_provider()
    if isinstance(provider, (ProxyTracerProvider, NoOpTracerProvider)):
        return None
    tracer = provider.get_tracer(SCOPE, our_version())
    return None if isinstance(tracer, NoOpTracer) else tracer  # which a provider gives that was switched off


@cache
def is_installed() -> bool:
    """Tell whether OpenTelemetry is there. Looked up once: a failing import is slow every time."""
    try:
        import_module("opentelemetry.trace")
    except ImportError:
        return False
    return True


@cache
def our_version() -> str:
    """Return the version of Milepost. Looked up once, as that reads a file."""
    from importlib.metadata import version  # which takes as long as all of our own rooms for stores

    return version("milepost")


def record(span: Span, failure: BaseException | None) -> None:
    """Say on a span what its run failed with: the author's own exception, as pydantic-graph would."""
    if failure is None:
        return
    from opentelemetry.trace import Status, StatusCode

    if isinstance(failure, (NodeError, RoutingError)) and failure.__cause__ is not None:
        failure = failure.__cause__
    span.record_exception(failure)
    span.set_status(Status(StatusCode.ERROR, f"{type(failure).__name__}: {failure}"))
