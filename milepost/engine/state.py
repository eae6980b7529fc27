"""A task's own view of the state, and how its changes are committed: with its output, or not at all.

The committed state is its JSON text, field by field, in the position. A task sees it as the record that spawned the
task left it, whenever its body begins and whoever commits meanwhile, so that one order of commits has one answer.
The object that the caller gave is a cache of the newest state: lent to a task while no other runs, and made equal to
the commit on lending, after a rollback and at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import get_ident
from types import NoneType
from typing import Any, Final

from milepost.engine.codec import Codec
from milepost.engine.contents import is_constant, is_mutable, make_equal
from milepost.engine.cuts import cut_like
from milepost.engine.errors import InputError, NotStorable, StateConflict, WorkflowError
from milepost.engine.fields import digest_of, fields_of, shape_of, whole_of
from milepost.engine.fieldwise import fieldwise
from milepost.engine.merging import Clash, Merging, conflict
from milepost.engine.parts import described
from milepost.engine.patch import Patch, difference, patched
from milepost.engine.position import Position, Task
from milepost.engine.typed import StepContext
from milepost.engine.versions import text_at

UNREAD: Final = object()
COPIED: Final = (
    " This run has no store, but copies its state all the same: its tasks have views of their own, or one of its nodes "
    'retries. Without copies: isolation="shared".'
)


class TaskContext(StepContext[Any, Any, Any]):
    """A step's context whose state is made when it is first read."""

    def __init__(self, view: StateView, deps: Any, inputs: Any) -> None:
        self._view = view
        self._deps = deps
        self._inputs = inputs

    @property
    def state(self) -> Any:
        return self._view.state


class StateView:
    """The state as one task sees it.

    state: the object, made when first read. touched: whether it was read. base: the committed fields that it was made
    from, as record `since` left them, or, in a stream, as the body itself committed them. wrote: the record in which
    that was, by field. left, copy: the fields as they were when last asked for, and what was read back from them. lent:
    it is the caller's object. routed: it is of the record at hand, not of a task.
    """

    __slots__ = ("_make", "_state", "base", "copy", "left", "lent", "routed", "since", "wrote")

    def __init__(self, make: Callable[[StateView], Any]) -> None:
        self._make = make
        self._state: Any = UNREAD
        self.base: Mapping[str, str] = {}
        self.since = 0
        self.wrote: dict[str, int] = {}
        self.left: Mapping[str, str] | None = None
        self.copy: Any = None
        self.lent = False
        self.routed = False

    @classmethod
    def of(cls, state: Any) -> StateView:
        """Return a view of one object that everybody shares."""
        return cls(lambda _: state)

    @classmethod
    def nothing(cls) -> StateView:
        """Return the view of a run without a state."""
        return cls.of(None)

    @property
    def state(self) -> Any:
        if self._state is UNREAD:
            self._state = self._make(self)
        return self._state

    @property
    def touched(self) -> bool:
        return self._state is not UNREAD

    def context(self, deps: Any, inputs: Any) -> StepContext[Any, Any, Any]:
        """Return what a step or a transform is called with."""
        return TaskContext(self, deps, inputs)


class LiveState:
    """The state of a run that keeps nothing: one object, shared by all, as in pydantic-graph."""

    isolated = False

    def __init__(self, state: Any) -> None:
        self.object = state
        self._view = StateView.of(state)

    def view(self, alone: Callable[[], bool], task: Task | None = None) -> StateView:
        return self._view

    def routed(self, view: StateView, patch: Patch | None) -> StateView:
        return view

    def changes(self, view: StateView, task: Task | None, node: str) -> Patch | None:
        return None

    def commit(self, view: StateView, patch: Patch | None, node: str, *, streams: bool = False) -> None:
        """Nothing is kept."""

    def repeated(self, view: StateView) -> None:
        """Nothing is kept."""

    def first(self) -> tuple[Patch | None, str | None]:
        return None, None

    def drop(self, view: StateView) -> None:
        """Nothing can be undone."""

    def settle(self) -> None:
        """The object is the state."""


class StoredState:
    """The state of a run whose position holds it as text.

    state: the caller's object, None if there is none. position: where the committed fields are. isolated: tasks have
    their own views; else all share the caller's object. stored: False where a run without a store copies its state.
    Raises InputError: the object cannot be made equal to the state of the run that is resumed.
    """

    def __init__(
        self, codec: Codec, type_: Any, state: Any, position: Position, *, isolated: bool, stored: bool = True
    ) -> None:
        self.isolated = isolated
        self.object = state
        self._codec = codec
        self._type = type_
        self._position = position
        self._stored = stored
        self._stateless = type_ in (None, NoneType)
        self._shape = shape_of(type_)
        self._fieldwise = None if self._stateless or self._shape.whole else fieldwise(codec, type_)
        self._merging = Merging(codec, type_, self._shape)
        self._shared = StateView.of(state)
        self._thread = get_ident()
        self._lent = False
        self._held: Mapping[str, str] | None = {}
        self._whole = ""
        self._mine: dict[str, str] = {}
        self._begun: StateView | None = None
        if self._stateless and state is not None:
            raise InputError(
                "This workflow declares no state, so its tasks cannot have views of the one that was given. "
                "Declare it: state_type=..."
            )
        if position.seq and not self._stateless:
            self._adopt()

    # --- the caller's object -----------------------------------------------------------------------------------------

    def first(self) -> tuple[Patch | None, str | None]:
        """Return the patch that commits the state a run starts with, and a hash of that state.

        Raises NotStorable; InputError: nothing can be kept of the changes of such an object.
        """
        if self._stateless:
            return None, None
        if not is_mutable(self.object) and not is_constant(self.object):
            raise InputError(
                f"The state is {described(self.object)}: something in it can change, but it cannot be made equal to "
                "what is committed. Use a pydantic model, a dataclass, a TypedDict, a dict, a list or a set."
            )
        self._begun = StateView.of(self.object)
        fields = self._fields(self._begun)
        return difference(self._position.fields, fields), digest_of(fields)

    def _adopt(self) -> None:
        """Make the caller's object equal to the state of the run that is resumed. Raises InputError."""
        self._held = None
        if self.object is None:
            return
        loaded = self._load(self._position.fields)
        if make_equal(self.object, loaded):
            self._held = dict(self._position.fields)
        elif type(self.object) is not type(loaded) or self.object != loaded:
            raise InputError(
                f"The state that was given is {described(self.object)}, which cannot be made equal to that of the run, "
                f"{described(loaded)}. Give an object of that kind, or none."
            )

    def _align(self, fields: Mapping[str, str]) -> None:
        """Make the caller's object equal to committed fields."""
        if self._held is None or self._held != fields or list(self._held) != list(fields):
            loaded = self._load(fields)
            if not make_equal(self.object, loaded):
                self.object = loaded
            self._held = dict(fields)

    def _take_back(self, view: StateView) -> None:
        """End the loan of the caller's object. It gets parts of its own, which nothing else refers to."""
        self._lent = view.lent = False
        self._held = view.left if view.left is not None and make_equal(self.object, view.copy) else None

    # --- views -------------------------------------------------------------------------------------------------------

    def view(self, alone: Callable[[], bool], task: Task | None = None) -> StateView:
        """Return a view for one attempt of a task.

        alone: tells, when the state is first read, that no other task runs. task: whose it is; None sees the newest
        state.
        """
        if self._stateless:
            return self._shared
        return StateView(lambda view: self._make(view, alone, task))

    def routed(self, view: StateView, patch: Patch | None) -> StateView:
        """Return the view for the transforms on the way of an output, which see what its record makes of the state.

        They are called one record after the other, so that nothing can come between what they read and what they write.
        view, patch: of the task.
        """
        if self._stateless or not self.isolated:
            return view
        return StateView(lambda made: self._made_new(made, patch))

    def _make(self, view: StateView, alone: Callable[[], bool], task: Task | None) -> Any:
        if not self.isolated:
            self._align_once()
            return self.object
        if get_ident() == self._thread:
            return self._opened(view, task, alone=alone())
        from anyio.from_thread import run_sync

        try:
            return run_sync(lambda: self._opened(view, task))  # the position belongs to the thread of the event loop
        except RuntimeError:  # not a thread of anyio's
            return self._opened(view, task)

    def _align_once(self) -> None:
        if self._held is None:
            self._align(self._position.fields)

    def _opened(self, view: StateView, task: Task | None, *, alone: bool = False) -> Any:
        now = dict(self._position.fields)
        view.since = self._position.seq if task is None else task.spawned
        view.base = self._fields_at(view.since, now)
        if alone and not self._lent and view.base is now and is_mutable(self.object):
            self._align(now)
            self._lent = view.lent = True
            return self.object
        return self._load(view.base)

    def _fields_at(self, seq: int, now: dict[str, str]) -> dict[str, str]:
        """Return the fields as a record left them; `now` itself where they are as they were."""
        past = self._position.past
        later = [name for name, steps in past.items() if steps[-1][0] > seq]
        if not later:
            return now
        texts = {name: text_at(past.get(name, ()), now.get(name, ""), seq) for name in (*now, *later)}
        return {name: text for name, text in texts.items() if text}

    def _made_new(self, view: StateView, patch: Patch | None) -> Any:
        view.routed = True
        return self._load(patched(self._position.fields, patch or {}))

    def _load(self, fields: Mapping[str, str]) -> Any:
        return self._codec.decode(whole_of(fields), self._type, "state")

    def repeated(self, view: StateView) -> None:
        """Note that a body has only done again what is committed already."""
        if view.touched and not self._stateless:
            self._fields(view)
            self._go_on(view)

    def _go_on(self, view: StateView) -> None:
        """Count what a view has changed so far as committed."""
        if view.left is not None:
            changed = difference(view.base, view.left)
            view.wrote.update((name, self._position.written.get(name, 0)) for name in changed)
            view.base = view.left

    # --- changes -----------------------------------------------------------------------------------------------------

    def changes(self, view: StateView, task: Task | None, node: str) -> Patch | None:
        """Return the patch that a task's view amounts to, or None. Raises StateConflict, NotStorable.

        Costs the size of the state, and a few times that where another task has changed the state meanwhile.
        """
        if self._stateless or not view.touched:
            return None
        mine = self._fields(view, node)
        now = self._position.fields
        if view.routed or not self.isolated:
            return difference(now, mine) or None
        changed = difference(view.base, mine)
        if changed and not is_mutable(view.state):
            raise WorkflowError(
                f"Node {node!r} changed the state, {described(view.state)}, which cannot be made equal to what is "
                "committed. Use a pydantic model, a dataclass, a TypedDict, a dict, a list or a set."
            )
        clashing = [name for name in changed if self._clashes(name, view)]
        if not changed or (not clashing and view.base == now):
            return changed or None
        try:
            after = self._merging.merged(view.base, now, mine, changed, clashing)
        except Clash as clash:
            raise self._conflict(clash, view, mine, task, node) from clash.__cause__
        return difference(now, after) or None

    def _fields(self, view: StateView, node: str = "") -> dict[str, str]:
        """Return the fields of the state as a view leaves it. Raises NotStorable, which names the node."""
        written = None if self._fieldwise is None else self._fieldwise.written(view.state)
        if written is not None:
            view.left, view.copy = written
            return written[0]
        try:
            text, view.copy = self._codec.encode(view.state, self._type, "state")
        except NotStorable as error:
            culprit = f" Node {node!r} left it so." if node else ""
            raise NotStorable(error.path, f"{error.reason}{culprit}{'' if self._stored else COPIED}") from error
        if text != self._whole:
            fields = cut_like(text, self._mine) or fields_of(text, whole=self._shape.whole)
            self._whole, self._mine = text, fields
        view.left = self._mine
        return self._mine

    def _clashes(self, name: str, view: StateView) -> bool:
        """Tell whether another task has changed a field since this view was made."""
        now, known = self._position.fields, max(view.since, view.wrote.get(name, 0))
        return self._position.written.get(name, 0) > known or now.get(name) != view.base.get(name)

    def _conflict(
        self, clash: Clash, view: StateView, mine: Mapping[str, str], task: Task | None, node: str
    ) -> StateConflict:
        name, now, written = clash.field, self._position.fields, self._position.written
        theirs = name if self._clashes(name, view) else max(now, key=lambda one: written.get(one, 0))
        mover = ("" if task is None else task.key), node
        return conflict(clash, (view.base, now, mine), view.state, mover, self._position.writers.get(theirs, ("", "?")))

    # --- the end of an attempt ---------------------------------------------------------------------------------------

    def commit(self, view: StateView, patch: Patch | None, node: str, *, streams: bool = False) -> None:
        """Note that a record with `patch` has moved the position. streams: the body that has the view goes on."""
        if not self.isolated or self._stateless:
            return
        seen = self._begun or view  # the start has put the caller's object into its patch
        if self._fieldwise is not None and seen.left is not None:
            seen.left = self._fieldwise.adopted(seen.left, self._position.fields)
        if streams:
            self._go_on(view)
        elif view.lent or self._begun is not None:
            self._take_back(seen)
            self._begun = None

    def drop(self, view: StateView) -> None:
        """Undo what an attempt did to its view."""
        if view.lent:
            self._lent = view.lent = False
            self._held = None

    def settle(self) -> None:
        """Make the caller's object equal to what is committed, at the end."""
        if self._lent:  # to a task that was stopped half way
            self._lent = False
            self._held = None
        if self.isolated and not self._stateless:
            self._align(self._position.fields)
        elif not self._stateless:
            self._align_once()


State = LiveState | StoredState
