"""The transforms on the edges of a run: each gets a value and a view of the state, which it may change."""

from __future__ import annotations

from typing import Any

from milepost.engine.patch import Patch
from milepost.engine.plan import Exit
from milepost.engine.state import LiveState, State, StateView
from milepost.engine.typed import StepContext


class TransformContext(StepContext[Any, Any, Any]):
    """A transform's context. used: whether the transform asked for the state, and so may have changed it."""

    def __init__(self, view: StateView, deps: Any, inputs: Any) -> None:
        self._view = view
        self._deps = deps
        self._inputs = inputs
        self.used = False

    @property
    def state(self) -> Any:
        self.used = True
        return self._view.state


class Transforms:
    """The only caller of transforms. They share one view of the state in each record.

    state: gives that view, and tells what was changed; None for a run without one. deps: the run's. view: of the task
    whose result is being routed. used: whether one of them asked for the state, and so may have changed it.
    """

    def __init__(self, state: State | None, deps: Any) -> None:
        self.view: StateView = StateView.nothing()
        self._state: State = LiveState(None) if state is None else state
        self._deps = deps
        self._shared: StateView | None = None
        self.used = False

    def begin(self, view: StateView) -> None:
        """Begin with a record. view: of the task whose result is routed in it."""
        self.view = view
        self._shared = None
        self.used = False

    def apply(self, way: Exit, value: Any, patch: Patch | None) -> Any:
        """Return what the transforms of an edge make of a value. patch: what the task changed of the state."""
        self._shared = self._shared or self._state.routed(self.view, patch)
        for transform in way.transforms:
            context = TransformContext(self._shared, self._deps, value)
            value = transform(context)
            self.used = self.used or context.used
        return value

    def changes(self, node: str) -> Patch | None:
        """Return what the task and the transforms have changed of the state. node: the one that is left."""
        assert self._shared is not None
        return self._state.changes(self._shared, None, node)
