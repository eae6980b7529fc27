"""What is still needed of a stored run: the values of what is pending, and where pending things stand in the graph."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from milepost.engine.codec import split_array
from milepost.engine.position import Position, WaitingJoin, lineage
from milepost.engine.revision import Place
from milepost.engine.values import Ref, Value

Chain = tuple[tuple[str, str], ...]
"""The (fork id, fork run) pairs that something is in, outermost first."""


@dataclass(slots=True)
class Held:
    """A stored value that is still needed.

    kind: of what a task takes, of what has reached a join, or of an output that is not routed yet. node: the node or
    join that it belongs to. place: the key of the task, or which item it is. text: its JSON text, as it is to be from
    here on.
    """

    kind: Literal["input", "item", "output"]
    node: str
    place: str | Place
    ref: Ref
    text: str

    @property
    def value(self) -> Value:
        """What the store holds."""
        assert self.ref.value is not None
        return self.ref.value

    @property
    def stored(self) -> str:
        """The JSON text that the store holds."""
        return text_of(self.ref)


def text_of(ref: Ref) -> str:
    """Return the JSON text behind a reference. Raises ValueError, IndexError: it is no item of a stored list."""
    value = ref.value
    assert value is not None
    assert value.text is not None
    if ref.index < 0:
        return value.text
    if value.parts is None:
        value.parts = split_array(value.text)
    return value.parts[ref.index]


def held(position: Position, decides: Collection[str]) -> list[Held]:
    """Return every value that is still needed, each as often as something needs it.

    decides: the nodes that choose; what came into one flows on when its choice is routed, so that is needed, too.
    Raises ValueError, IndexError: an item is not there.
    """
    found: list[Held] = []
    tasks = [*position.tasks.values(), *(stream.task for stream in position.streams.values())]
    tasks += [task for task, _ in position.unrouted.values() if task.node in decides]
    for task in tasks:
        found.append(Held("input", task.node, task.key, task.ref, text_of(task.ref)))
    for waiting in position.joins.values():
        for number, ref in enumerate(waiting.items):
            place = waiting.join, waiting.run, number
            found.append(Held("item", waiting.join, place, ref, text_of(ref)))
    for task, ref in position.unrouted.values():
        found.append(Held("output", task.node, task.key, ref, text_of(ref)))
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """Where things stand that are pending.

    node: where they are; of a stream it is the map. chain: the (fork, run) pairs that they are in, outermost first.
    """

    node: str
    chain: Chain

    def run_of(self, fork: str) -> str | None:
        """Return the innermost run of a fork that they are in."""
        return next((run for name, run in reversed(self.chain) if name == fork), None)


def standings(position: Position) -> list[Standing]:
    """Return where everything pending stands, each place once. A join stands wherever one of its items came from."""
    tasks = [*position.tasks.values(), *(task for task, _ in position.unrouted.values())]
    found = dict.fromkeys(Standing(task.node, lineage(task.stack)) for task in tasks)
    for stream in position.streams.values():
        own = ((stream.fork, stream.run),) if stream.mark == "#" else ()
        found[Standing(stream.fork, (*lineage(stream.stack), *own))] = None
    for waiting in position.joins.values():
        found |= dict.fromkeys(Standing(waiting.join, chain) for chain in chains_of(waiting))
    return list(found)


def chains_of(waiting: WaitingJoin) -> Sequence[Chain]:
    """Return the fork runs that the items of a join came through, outermost first."""
    return sorted(waiting.lineages) or [lineage(waiting.stack)]
