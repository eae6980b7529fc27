"""Putting together what two tasks made of the state side by side: by field, with the declared mergers."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final

from milepost.engine.codec import Codec
from milepost.engine.contents import ABSENT, value_of, with_value
from milepost.engine.errors import NotStorable, StateConflict
from milepost.engine.fields import WHOLE, Shape, excerpt, fields_of, key_of, whole_of
from milepost.engine.mergers import Merger
from milepost.engine.parts import key_step
from milepost.engine.patch import common_prefix

Fields = Mapping[str, str]
"""The JSON texts of a state by top-level field."""
EMPTY: Final = (list, str, bytes, tuple, deque, set, frozenset, dict, OrderedDict, Counter, int, float, Decimal)
"""Types of which a value can be made that stands for nothing yet."""


class Clash(Exception):
    """Two changes of a state do not go together.

    field: one that both changed, or that this task did. merger: the one that could not merge it. detail: why, empty
    when it has no merger.
    """

    def __init__(self, field: str, merger: str = "", detail: str = "") -> None:
        super().__init__(field)
        self.field = field
        self.merger = merger
        self.detail = detail


class Merging:
    """Merges the states of one type. shape: how they are kept."""

    def __init__(self, codec: Codec, type_: Any, shape: Shape) -> None:
        self._codec = codec
        self._type = type_
        self._shape = shape

    def merged(
        self, base: Fields, committed: Fields, mine: Fields, changed: Collection[str], clashing: Collection[str]
    ) -> dict[str, str]:
        """Return the committed fields with those that this task changed, merged where another changed them too.

        changed: what differs between base and mine. clashing: which of those another task has changed meanwhile.
        The whole is read back: what each task left could be read, but the two need not go together.
        Raises Clash.
        """
        for name in clashing:
            if self._shape.merger(name) is None:
                raise Clash(name)
            if name not in committed or name not in mine:
                raise Clash(
                    name, detail=f"One of them has removed the field {key_of(name)!r}, and the other changed it"
                )
        try:
            if clashing:
                state = self._with_values(base, committed, mine, changed, clashing)
                return self._written(state)
            after = {name: text for name, text in committed.items() if name in mine or name not in changed}
            after.update((name, mine[name]) for name in changed if name in mine)
            if self._written(self._load(after)) == after:
                return after
        except NotStorable as error:
            raise self._clash(error, changed, clashing) from error
        raise Clash(next(iter(changed)), detail="What they left would be read back as something else")

    def _load(self, fields: Fields) -> Any:
        return self._codec.decode(whole_of(fields), self._type, "state")

    def _written(self, state: Any) -> dict[str, str]:
        return fields_of(self._codec.encode(state, self._type, "state")[0], whole=self._shape.whole)

    def _with_values(
        self, base: Fields, committed: Fields, mine: Fields, changed: Collection[str], clashing: Collection[str]
    ) -> Any:
        first, state, left = self._load(base), self._load(committed), self._load(mine)
        for name in changed:
            value = value_of(left, name) if name in mine else ABSENT
            if value is ABSENT and name in mine:  # written by the class itself, of what else there is
                continue
            merger = self._shape.merger(name) if name in clashing else None
            if merger is not None:
                found = value_of(first, name) if name in base else None
                value = merge(merger, name, found, value_of(state, name), value)
            state = with_value(state, name, value)
        return state

    def _clash(self, error: NotStorable, changed: Collection[str], clashing: Collection[str]) -> Clash:
        """Return what is wrong when the merged state cannot be stored: the merger of one field, or the whole."""
        for name in clashing:
            merger = self._shape.merger(name)
            steps = (f".{name}", key_step(key_of(name))) if name != WHOLE else ("",)
            if merger is not None and error.path.removeprefix("state").startswith(steps):
                return Clash(name, merger.name, f"what it made cannot be stored, as {error.reason}")
        return Clash(next(iter(clashing or changed)), detail=f"At {error.path}, {error.reason}")


def merge(merger: Merger, field: str, base: Any, committed: Any, mine: Any) -> Any:
    """Call a merger. Raises Clash when it fails."""
    if base is None and type(mine) in EMPTY:
        base = type(mine)()
    try:
        return merger.merge(base, committed, mine)
    except Exception as error:
        raise Clash(field, merger.name, f"{type(error).__name__}: {error}") from error


def conflict(
    clash: Clash, versions: tuple[Fields, Fields, Fields], state: Any, mover: tuple[str, str], other: tuple[str, str]
) -> StateConflict:
    """Return the error for a clash.

    versions: what both tasks found, what is committed, and what this one would make of it. state: its object. mover,
    other: the (key, node) of the task that came too late, and of the one that committed before.
    """
    texts = [fields.get(clash.field, "") for fields in versions]
    start = min(common_prefix(texts[0], text) for text in texts[1:])
    base, committed, mine = (excerpt(text, start) for text in texts)
    return StateConflict(
        key_of(clash.field),
        mover[1],
        other[1],
        task_key=mover[0],
        other_key=other[0],
        base=base,
        committed=committed,
        mine=mine,
        merger=clash.merger,
        suggested=suggestion(value_of(state, clash.field)),
        detail=clash.detail,
    )


def suggestion(value: Any) -> str:
    """Return the name of the merger that fits a value, for an author who has not declared one."""
    if isinstance(value, (list, tuple, deque)):
        return "append"
    if isinstance(value, (dict, set, frozenset)):
        return "union"
    return "add" if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) else "last"
