"""A task's own view of the state, and how its changes are committed: with its output, or not at all.

The committed state is its JSON text, field by field, in the position. The object that the caller gave is a cache of
it: lent to a task while no other runs, and made equal to the commit on lending, after a rollback and at the end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from hashlib import blake2b
from types import NoneType
from typing import Any, Final, cast, get_origin, get_type_hints

from milepost.engine.codec import Codec
from milepost.engine.errors import StateConflict
from milepost.engine.mergers import Merger
from milepost.engine.patch import Patch, difference
from milepost.engine.position import Position, Task
from milepost.engine.typed import StepContext

UNREAD: Final = object()
WHOLE: Final = ""
"""The name under which a state that has no fields is kept."""


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
    from. lent: it is the caller's object. wrote: the record by which this view last changed each field.
    """

    __slots__ = ("_make", "_state", "base", "lent", "wrote")

    def __init__(self, make: Callable[[StateView], Any]) -> None:
        self._make = make
        self._state: Any = UNREAD
        self.base: Mapping[str, str] = {}
        self.lent = False
        self.wrote: dict[str, int] = {}

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

    def view(self, alone: Callable[[], bool]) -> StateView:
        return self._view

    def changes(self, view: StateView, task: Task | None, node: str) -> Patch | None:
        return None

    def commit(self, view: StateView, patch: Patch | None, node: str, *, streams: bool = False) -> None:
        """Nothing is kept."""

    def first(self) -> tuple[Patch | None, str | None]:
        return None, None

    def drop(self, view: StateView) -> None:
        """Nothing can be undone."""

    def settle(self) -> None:
        """The object is the state."""


class StoredState:
    """The state of a run whose position holds it as text.

    position: where the committed fields are. isolated: tasks have their own views; else all share the caller's object.
    """

    def __init__(self, codec: Codec, type_: Any, state: Any, position: Position, *, isolated: bool) -> None:
        self.isolated = isolated
        self.object = state
        self._codec = codec
        self._type = type_
        self._position = position
        self._lent = False
        self._equal = position.seq == 0
        self._stateless = type_ in (None, NoneType)
        self._shared = StateView.of(state)
        self._whole = ""
        self._mine: dict[str, str] = {}
        self._writers: dict[str, str] = {}

    def first(self) -> tuple[Patch | None, str | None]:
        """Return the patch that commits the state a run starts with, and a hash of that state. Raises NotStorable."""
        if self._stateless:
            return None, None
        fields = self._fields(self.object)
        return difference(self._position.fields, fields), digest_of(fields)

    def _fields(self, state: Any) -> dict[str, str]:
        text, _ = self._codec.encode(state, self._type, "state")
        if text != self._whole:
            self._whole, self._mine = text, fields_of(text)
        return self._mine

    def _load(self, fields: Mapping[str, str]) -> Any:
        return self._codec.decode(whole_of(fields), self._type, "state")

    def view(self, alone: Callable[[], bool]) -> StateView:
        """Return a view for one attempt of a task.

        alone: tells, when the state is first read, that no other task runs.
        """
        if self._stateless:
            return self._shared
        return StateView(lambda view: self._make(view, alone()))

    def _make(self, view: StateView, alone: bool) -> Any:
        view.base = dict(self._position.fields)
        if self.isolated and (not alone or self._lent or not is_mutable(self.object)):
            return self._load(view.base)
        if self.isolated:
            self._lent = view.lent = True
        self._align()
        return self.object

    def _align(self) -> None:
        """Make the caller's object equal to what is committed."""
        if not self._equal and self._position.seq:
            loaded = self._load(self._position.fields)
            if not make_equal(self.object, loaded):
                self.object = loaded
        self._equal = True

    def changes(self, view: StateView, task: Task | None, node: str) -> Patch | None:
        """Return the patch that a task's view amounts to, or None. Raises StateConflict, NotStorable."""
        if self._stateless or not view.touched:
            return None
        mine = self._fields(view.state)
        if not self.isolated:
            return difference(self._position.fields, mine) or None
        patch: dict[str, Any] = {}
        for name, change in difference(view.base, mine).items():
            known = max(task.spawned, view.wrote.get(name, 0)) if task is not None else self._position.seq
            if self._position.written.get(name, 0) > known:
                merged = self._merge(name, view, mine, node)
                patch.update(difference({name: self._position.fields.get(name, "")}, {name: merged}))
            else:
                patch[name] = change
        return patch or None

    def _merge(self, name: str, view: StateView, mine: Mapping[str, str], node: str) -> str:
        rule = mergers_of(self._type).get(name)
        other = self._writers.get(name, f"checkpoint {self._position.written.get(name, 0)}")
        versions = (view.base, self._position.fields, mine)
        if rule is None or any(name not in fields for fields in versions):
            raise StateConflict(name, node, other)
        states = [self._load(fields) for fields in versions]
        try:
            merged = rule.merge(*(field_of(state, name) for state in states))
        except Exception as error:
            raise StateConflict(name, node, other) from error
        set_field(states[2], name, merged)
        return fields_of(self._codec.encode(states[2], self._type, "state")[0])[name]

    def commit(self, view: StateView, patch: Patch | None, node: str, *, streams: bool = False) -> None:
        """Note that a record with `patch` has moved the position.

        The caller's object is stale unless it made the change. streams: the body that has the view goes on.
        """
        if patch:
            view.base = self._mine if view.touched else view.base
            view.wrote.update(dict.fromkeys(patch, self._position.seq))
            self._writers.update(dict.fromkeys(patch, node))
            as_made = view.lent or not view.touched  # untouched: the start, whose patch is the object itself
            self._equal = not self.isolated or (as_made and self._mine == self._position.fields)
        if view.lent and not streams:
            self._lent = view.lent = False

    def drop(self, view: StateView) -> None:
        """Undo what an attempt did to its view."""
        if view.lent:
            self._lent = view.lent = self._equal = False

    def settle(self) -> None:
        """Make the caller's object equal to what is committed, at the end."""
        if self._lent:  # to a task that was stopped half way
            self._lent = self._equal = False
        if not self._stateless:
            self._align()


State = LiveState | StoredState


def fields_of(text: str) -> dict[str, str]:
    """Cut the JSON text of a state into the texts of its top-level fields.

    >>> fields_of('{"a":1,"b":[2]}')
    {'a': '1', 'b': '[2]'}
    """
    from pydantic_core import from_json, to_json

    given: Any = from_json(text)
    if not isinstance(given, dict):
        return {WHOLE: text}
    members = cast("dict[str, Any]", given)
    return {name: to_json(value, inf_nan_mode="constants").decode() for name, value in members.items()}


def digest_of(fields: Mapping[str, str]) -> str:
    """Return a hash of a state's fields: 32 hexadecimal digits."""
    return blake2b(whole_of(fields).encode(), digest_size=16).hexdigest()


def whole_of(fields: Mapping[str, str]) -> str:
    """Put the texts of fields together again."""
    from pydantic_core import to_json

    if WHOLE in fields and len(fields) == 1:
        return fields[WHOLE]
    return "{" + ",".join(f"{to_json(name).decode()}:{text}" for name, text in fields.items()) + "}"


def mergers_of(type_: Any) -> dict[str, Merger]:
    """Return the declared merger of every field of a state type that has one."""
    found: dict[str, Merger] = {}
    try:
        hints = get_type_hints(get_origin(type_) or type_, include_extras=True)
    except (TypeError, NameError):  # not a class with fields, or its hints name what is not there
        return found
    for name, hint in hints.items():
        for note in getattr(hint, "__metadata__", ()):
            if isinstance(note, Merger):
                found[name] = note
    return found


def is_model(state: Any) -> bool:
    """Tell whether an object is a pydantic model."""
    return hasattr(state.__class__, "model_fields")


def is_mutable(state: Any) -> bool:
    """Tell whether an object can be made equal to another in place."""
    return isinstance(state, dict) or dataclasses.is_dataclass(state) or is_model(state)


def make_equal(target: Any, source: Any) -> bool:
    """Give `target` the contents of `source`, frozen or not. Returns whether that was possible."""
    if type(target) is not type(source):
        return False
    if isinstance(target, dict):
        kept = cast("dict[str, Any]", target)
        kept.clear()
        kept.update(source)
    elif is_model(target):
        for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
            object.__setattr__(target, name, getattr(source, name))
    elif dataclasses.is_dataclass(target):
        for field in dataclasses.fields(target):
            object.__setattr__(target, field.name, getattr(source, field.name))
    else:
        return False
    return True


def field_of(state: Any, name: str) -> Any:
    """Return one field of a state."""
    return cast("Any", state)[name] if isinstance(state, dict) else getattr(state, name)


def set_field(state: Any, name: str, value: Any) -> None:
    """Set one field of a state, frozen or not."""
    if isinstance(state, dict):
        state[name] = value
    elif is_model(state):
        state.__dict__[name] = value
    else:
        object.__setattr__(state, name, value)
