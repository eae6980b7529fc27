"""Putting Milepost's executor behind `pydantic_graph.Graph.run`, so that an existing program runs on it unchanged."""

from __future__ import annotations

from functools import update_wrapper
from inspect import currentframe
from types import FrameType, TracebackType
from typing import Any
from weakref import ref

from milepost.engine.accumulators import NoRoute
from milepost.engine.drivers import run_live
from milepost.engine.errors import MilepostError, NodeError, RoutingError
from milepost.engine.spans import entered
from milepost.engine.typed import Graph
from milepost.engine.workflow import Workflow

_upstream: Any = Graph
_upstream_run: Any = _upstream.run
_workflows: dict[int, tuple[ref[Any], Workflow[Any, Any, Any, Any]]] = {}
_installed: list[Installed] = []


def workflow_of(graph: Graph[Any, Any, Any, Any]) -> Workflow[Any, Any, Any, Any]:
    """Return the workflow of a graph; made once per graph object, and again when its name or its spans are changed."""
    if isinstance(graph, Workflow):
        return graph
    key = id(graph)
    known = _workflows.get(key)
    if known is not None and known[0]() is graph:
        workflow = known[1]
        if workflow.name == graph.name and workflow.auto_instrument == graph.auto_instrument:
            return workflow
    workflow = Workflow.from_graph(graph)

    def forget(_: object) -> None:
        _workflows.pop(key, None)

    _workflows[key] = (ref(graph, forget), workflow)
    return workflow


def variable(frame: FrameType | None, value: object) -> str | None:
    """Return the name under which a frame knows an object, which is how pydantic-graph names a graph without a name."""
    for names in (frame.f_locals, frame.f_globals) if frame is not None else ():
        found = next((name for name, known in names.items() if known is value), None)
        if found is not None:
            return found
    return None


def original(error: MilepostError) -> BaseException:
    """Return what pydantic-graph raises in place of an error: the author's own exception, or one of its executor's."""
    cause = error.__cause__
    if isinstance(error, (NodeError, RoutingError)) and cause is not None:
        return cause.upstream if isinstance(cause, NoRoute) else cause
    return error.upstream or error


async def _run(
    self: Graph[Any, Any, Any, Any],
    *,
    state: Any = None,
    deps: Any = None,
    inputs: Any = None,
    span: Any = None,
    infer_name: bool = True,
) -> Any:
    if infer_name and self.name is None:
        frame = currentframe()
        self.name = variable(frame.f_back if frame is not None else None, self)
    kind: Any = type(self)
    if kind.iter is not _upstream.iter:  # a class with an `iter` of its own expects `run` to go through it
        return await _upstream_run(self, state=state, deps=deps, inputs=inputs, span=span, infer_name=False)
    workflow = workflow_of(self)
    try:
        with entered(span, workflow):
            return await run_live(workflow, inputs, state, deps, "shared")
    except MilepostError as error:
        failure = original(error)
    context = failure.__context__
    try:
        raise failure
    finally:
        failure.__context__ = context  # as it was in the node: no trace of who carried the node out
        del failure, context


update_wrapper(_run, _upstream_run)


class Installed:
    """Undoes an installation: when its `with` block ends, or when `uninstall` is called.

    Installations nest: the end of an inner one leaves the outer one as it is.
    """

    def __init__(self) -> None:
        self._before: Any = _upstream.run

    def uninstall(self) -> None:
        """Give `Graph.run` back as it was before, and so undo what was installed since. Doing it twice is no error."""
        if self in _installed:
            del _installed[_installed.index(self) :]
            Graph.run = self._before  # type: ignore[method-assign]  # what install replaced

    def __enter__(self) -> Installed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.uninstall()


def install() -> Installed:
    """Make every `Graph.run` and `Graph.run_sync` of this process use Milepost's executor.

    Runs are in memory and share their state, as pydantic-graph's do. Also a context manager: `with install(): ...`.
    Errors are raised as pydantic-graph raises them: a node's own exception, a RuntimeError where a graph goes nowhere.

    `Graph.iter` stays pydantic-graph's, because pydantic-ai's agent loop runs on it; so does `run` of a class that has
    an `iter` of its own.
    """
    installed = Installed()
    _installed.append(installed)
    Graph.run = _run  # type: ignore[method-assign]  # the purpose of this function
    return installed
