"""Stored: what a migration sees of a stored run, and changes. It is all plain JSON, as it lies in the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from milepost.engine.errors import InputError

NOT_READ: Final = object()


class StoredValue:
    """A value that is still needed. node: the id, in the stored version, of the node or join that it belongs to."""

    __slots__ = ("_text", "_value", "node")

    def __init__(self, node: str, text: str) -> None:
        self.node = node
        self._text = text
        self._value: object = NOT_READ

    def __repr__(self) -> str:
        return f"<StoredValue of {self.node!r}: {self.text()}>"

    @property
    def value(self) -> Any:
        """The value as JSON, e.g. a dict. Change it in place, or set another."""
        if self._value is NOT_READ:
            self._value = json.loads(self._text)
        return self._value

    @value.setter
    def value(self, value: object) -> None:
        self._value = value

    def text(self) -> str:
        """Return the JSON text: the stored one unless the value was changed. Raises ValueError, TypeError: no JSON."""
        if self._value is NOT_READ:
            return self._text
        now = json_text(self._value)
        return self._text if now == json_text(json.loads(self._text)) else now


class Stored:
    """A stored run, for a migration to change. Every id is the one that the node had in the version migrated from.

    run_id: of the run. version: the one that it is migrated from. nodes: the ids that were declared then. state: the
    state as JSON, None if there is none; change it in place, or set another.
    """

    def __init__(
        self,
        *,
        run_id: str,
        version: int,
        nodes: Iterable[str],
        state: str | None,
        inputs: Sequence[StoredValue] = (),
        items: Sequence[StoredValue] = (),
        outputs: Sequence[StoredValue] = (),
    ) -> None:
        self.run_id = run_id
        self.version = version
        self.nodes = frozenset(nodes)
        self._state = StoredValue("", "null" if state is None else state)
        self._inputs, self._items, self._outputs = inputs, items, outputs
        self._names: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Stored run {self.run_id!r}, version {self.version}>"

    @property
    def state(self) -> Any:
        return self._state.value

    @state.setter
    def state(self, state: object) -> None:
        self._state.value = state

    def inputs(self, node: str) -> Sequence[StoredValue]:
        """Return the inputs of the tasks of a node that are still to be run, in the order they were spawned."""
        return self._of(node, self._inputs)

    def items(self, join: str) -> Sequence[StoredValue]:
        """Return what has reached a join that still waits for more, in the order it came."""
        return self._of(join, self._items)

    def outputs(self, node: str) -> Sequence[StoredValue]:
        """Return the outputs of a node that could not be routed, which a resume routes again."""
        return self._of(node, self._outputs)

    def rename(self, node: str, to: str) -> None:
        """Say what a node, fork or join is called in the next version. In a run that has no such node, it does nothing.

        Several renames count at once, so that two nodes can swap their ids.
        """
        self._names[node] = to

    def _of(self, node: str, values: Sequence[StoredValue]) -> Sequence[StoredValue]:
        if node not in self.nodes and node in self._names.values():
            before = next(known for known, name in self._names.items() if name == node)
            raise InputError(
                f"Node {node!r} is still called {before!r} in version {self.version}, which is migrated from. "
                "Ask for it by that id."
            )
        return [one for one in values if one.node == node]

    # --- for the engine ----------------------------------------------------------------------------------------------

    @property
    def names(self) -> Mapping[str, str]:
        """The new ids of nodes that the run has, by those they had."""
        return {node: to for node, to in self._names.items() if node in self.nodes}

    def state_text(self) -> str | None:
        """Return the state as JSON text, None for no state. Raises ValueError, TypeError: it is no JSON."""
        text = self._state.text()
        return None if text == "null" else text


Migrate = Callable[[Stored], object]
"""Changes what is stored of a run, in place."""
MigrateT = TypeVar("MigrateT", bound=Migrate)


def json_text(value: object) -> str:
    """Return compact JSON text. Raises ValueError, TypeError: something in it has no JSON form.

    >>> json_text({"a": [1, "é"]})
    '{"a":[1,"é"]}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    text.encode()  # half a surrogate pair is no text
    return text
