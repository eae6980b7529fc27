"""Putting Milepost's executor behind `pydantic_graph.Graph.run`, so that an existing program runs on it unchanged."""

from __future__ import annotations

from contextlib import nullcontext
from types import TracebackType
from typing import Any
from weakref import ref

from milepost.engine.engine import original, run_live
from milepost.engine.errors import MilepostError
from milepost.engine.typed import Graph
from milepost.engine.workflow import Workflow

_upstream: Any = Graph
_upstream_run: Any = _upstream.run
_workflows: dict[int, tuple[ref[Any], Workflow[Any, Any, Any, Any]]] = {}


def workflow_of(graph: Graph[Any, Any, Any, Any]) -> Workflow[Any, Any, Any, Any]:
    """Return the workflow of a graph; made once per graph object."""
    known = _workflows.get(id(graph))
    if known is not None and known[0]() is graph:
        return known[1]
    workflow = Workflow.from_graph(graph)
    key = id(graph)

    def forget(_: object) -> None:
        _workflows.pop(key, None)

    _workflows[key] = (ref(graph, forget), workflow)
    return workflow


async def _run(
    self: Graph[Any, Any, Any, Any],
    *,
    state: Any = None,
    deps: Any = None,
    inputs: Any = None,
    span: Any = None,
    infer_name: bool = True,
) -> Any:
    try:
        with span or nullcontext():
            return await run_live(workflow_of(self), inputs, state, deps, "shared")
    except MilepostError as error:
        raise original(error) from None


class Installed:
    """Undoes an installation: at the end of a `with` block, or when `uninstall` is called."""

    def uninstall(self) -> None:
        """Give `Graph.run` back to pydantic-graph."""
        Graph.run = _upstream_run  # type: ignore[method-assign]  # what install replaced

    def __enter__(self) -> Installed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.uninstall()


def install() -> Installed:
    """Make every `Graph.run` and `Graph.run_sync` of this process use Milepost's executor.

    Runs are in memory and share their state, as pydantic-graph's do.

    `Graph.iter` stays pydantic-graph's: pydantic-ai's agent loop runs on it. Also a context manager: `with install():
    ...`. Errors are raised as pydantic-graph raises them: a node's own exception.
    """
    Graph.run = _run  # type: ignore[method-assign]  # the purpose of this function
    return Installed()
