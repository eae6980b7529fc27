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
    """The only caller of transforms.

    state: gives their view of it, and tells what they changed; None for a run without one. deps: the run's. shared: the
    view of those of the record at hand, None before the first. used: whether one of them asked for the state, and so
    may have changed it.
    """

    def __init__(self, state: State | None, deps: Any) -> None:
        self.shared: StateView | None = None
        self.used = False
        self._state: State = LiveState(None) if state is None else state
        self._deps = deps

    def forget(self) -> None:
        """Forget the record that was at hand: another one begins."""
        self.shared = None
        self.used = False

    def apply(self, way: Exit, value: Any, view: StateView, patch: Patch | None) -> Any:
        """Return what the transforms of an edge make of a value.

        view: of the task whose result is being routed. patch: what that task changed of the state.
        """
        self.shared = self.shared or self._state.routed(view, patch)
        for transform in way.transforms:
            context = TransformContext(self.shared, self._deps, value)
            value = transform(context)
            self.used = self.used or context.used
        return value

    def changes(self, node: str) -> Patch | None:
        """Return what the task and the transforms have changed of the state. node: the one that is left."""
        assert self.shared is not None
        return self._state.changes(self.shared, None, node)
