"""What nodes did to the world, written down so that it survives the death of their process."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from milepost.engine.current import current
from milepost.engine.errors import InputError


class Effect(NamedTuple):
    """Something that a node did. key: the idempotency key of its task. what: tells apart what one node does."""

    node: str
    key: str
    what: str = ""

    def __str__(self) -> str:
        what = f" ({self.what!r})" if self.what else ""
        return f"{self.node!r}{what} with key {self.key}"


class Effects:
    """A recorder of effects: a file that only grows, for any number of processes at once.

    path: the file; it is made with the first effect.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"<Effects in {str(self.path)!r}>"

    def record(self, what: str = "") -> None:
        """Note that the running node has had an effect. What is noted survives a kill -9 that comes right after.

        Raises InputError: no node is running this code.
        """
        try:
            this = current()
        except LookupError:
            raise InputError("An effect can only be recorded inside of a node that Milepost runs.") from None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps([this.node, this.idempotency_key, what]) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())  # one call, so that lines of several processes never mix
        finally:
            os.close(file)

    def all(self) -> list[Effect]:
        """Return every effect, in the order in which they were recorded."""
        if not self.path.exists():
            return []
        return [Effect(*json.loads(line)) for line in self.path.read_text("utf-8").splitlines()]

    def counts(self) -> Counter[Effect]:
        """Return how often each effect was recorded."""
        return Counter(self.all())

    def of(self, node: str) -> list[Effect]:
        """Return the effects of one node, in the order in which they were recorded."""
        return [effect for effect in self.all() if effect.node == node]

    def assert_once(self, *nodes: str) -> None:
        """Check that no effect was had twice.

        nodes: look only at theirs, and check that each has had one. Raises AssertionError.
        """
        counts = self.counts()
        missing = sorted(set(nodes) - {effect.node for effect in counts})
        twice = [f"{effect}: {times} times" for effect, times in counts.items() if times > 1 and _is_of(effect, nodes)]
        if twice:
            lines = "".join(f"\n  {line}" for line in twice)
            raise AssertionError(f"{len(twice)} of {len(counts)} effects were had more than once:{lines}")
        if missing:
            raise AssertionError(f"Nothing was recorded in {', '.join(map(repr, missing))}.")


def _is_of(effect: Effect, nodes: tuple[str, ...]) -> bool:
    return not nodes or effect.node in nodes
