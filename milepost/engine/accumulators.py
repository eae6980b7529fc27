"""What the joins of a run have so far: a cache, made again from the recorded items when it is next needed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, cast

from pydantic_graph.join import JoinState

from milepost.engine.codec import ATOMS
from milepost.engine.plan import JoinPlan
from milepost.engine.position import JoinRun, WaitingJoin
from milepost.engine.typed import ReducerContext
from milepost.engine.values import Values


class NoRoute(Exception):
    """A value cannot be routed. It becomes the detail of a RoutingError and is never seen by itself.

    upstream: what pydantic-graph raises in its place, if it says it in other words.
    """

    def __init__(self, detail: str, upstream: Exception | None = None) -> None:
        super().__init__(detail)
        self.upstream = upstream or RuntimeError(detail)


class IsolatedReducerContext(ReducerContext[Any, Any]):
    """A reducer's context in a run whose tasks have views of the state, where a reducer may use its arguments only."""

    @property
    def state(self) -> Any:
        raise NoRoute(
            "a reducer read ctx.state, which would make the join depend on timing; reduce (current, item) alone, "
            'or run with isolation="shared"'
        )


class Accumulators:
    """The only caller of reducers and initial values.

    isolated: tasks have views of the state, so that a reducer has none.
    """

    def __init__(self, values: Values, deps: Any, *, isolated: bool) -> None:
        self._values = values
        self._deps = deps
        self._isolated = isolated
        self._kept: dict[JoinRun, Any] = {}

    def add(self, join: JoinPlan, key: JoinRun, waiting: WaitingJoin | None, item: Any, state: Any) -> bool:
        """Reduce one more item. Returns whether the reducer cancelled the rest of the fork run."""
        reduced = JoinState(self.value(join, key, waiting, state), ())
        self._kept[key] = self._reduce(join, reduced, item, state)
        return reduced.cancelled_sibling_tasks

    def value(self, join: JoinPlan, key: JoinRun, waiting: WaitingJoin | None, state: Any) -> Any:
        """Return what a join has so far."""
        if key in self._kept:
            return self._kept[key]
        current = private(join.node.initial_factory())
        for ref in waiting.items if waiting is not None else ():
            current = self._reduce(join, JoinState(current, ()), self._values.load(ref), state)
        self._kept[key] = current
        return current

    def forget(self, key: JoinRun) -> None:
        """Let go of a join that fired or was cancelled."""
        self._kept.pop(key, None)

    def clear(self) -> None:
        """Let go of everything: the run has ended."""
        self._kept.clear()

    def _reduce(self, join: JoinPlan, reduced: JoinState, item: Any, state: Any) -> Any:
        reducer = cast("Any", join.node.reducer)
        if join.arity == 2:
            return reducer(reduced.current, item)
        kind = IsolatedReducerContext if self._isolated else ReducerContext
        shared = None if self._isolated else state()
        return reducer(kind(state=shared, deps=self._deps, join_state=reduced), reduced.current, item)


def private(initial: Any) -> Any:
    """Return a join's initial value as its own copy: `join(initial=[])` gives every run of a process the same list."""
    if isinstance(initial, ATOMS):
        return initial
    try:
        return deepcopy(initial)
    except Exception:
        return initial
