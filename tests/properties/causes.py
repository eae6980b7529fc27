"""What led to each task of a run, read from its records: the same in every order of completion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

from milepost.engine.journal import Kind, Record
from milepost.engine.keys import key_of
from milepost.engine.position import Fire, Item, OpenJoin, Position, Spawn, SpawnEach


@dataclass
class Causes:
    """The causes of tasks, of joins that fired and of the items of streams. node: of each task, by its key."""

    before: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    node: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, record: Record, position: Position) -> None:
        """Take in a record. position: right after it."""
        source = record.task
        if record.kind is Kind.EMITTED:
            stream = position.streams.get(record.task) or (record.stream or (None, 0))[0]
            assert stream is not None
            source = f"{stream.key}@{stream.count}"
            self.cause(source, stream.task.key if stream.count == 1 else f"{stream.key}@{stream.count - 1}")
            self.spawn(record, source, stream.task.key)
        else:
            self.spawn(record, source, source)
        for task in position.tasks.values():
            self.node.setdefault(task.key, task.node)

    def spawn(self, record: Record, source: str, base: str) -> None:
        """Follow the ops of a record. source: what they come from; base: what the keys of tasks are made from."""
        for op in record.ops:
            match op:
                case Spawn():
                    self.cause(key_of(base, op.route), source)
                case SpawnEach():
                    for number in range(op.size):
                        self.cause(key_of(base, f"{op.route}{op.mark}{number}/{op.tail}"), source)
                case Item() | OpenJoin():
                    self.cause(key_of(op.run, f"join/{op.join}"), source)
                case Fire():
                    source = base = key_of(op.run, f"join/{op.join}")
                case _:
                    pass

    def cause(self, key: str, source: str) -> None:
        self.before.setdefault(key, set()).add(source)

    def all_before(self, key: str) -> set[str]:
        """Return everything that a task comes after in every order."""
        found: set[str] = set()
        pending = [key]
        while pending:
            for source in self.before.get(pending.pop(), ()):
                if source not in found:
                    found.add(source)
                    pending.append(source)
        return found

    def are_siblings(self, keys: Iterable[str]) -> bool:
        """Tell whether two of the tasks are spawned by one result, so that each begins before the other is done."""
        return any(self.before[one] == self.before[other] for one, other in combinations(keys, 2))

    def are_in_a_row(self, keys: Iterable[str]) -> bool:
        """Tell whether of any two of the tasks one comes after the other."""
        return all(
            one in self.all_before(other) or other in self.all_before(one) for one, other in combinations(keys, 2)
        )
