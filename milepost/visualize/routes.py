"""The ways that lead from one task of a run to the next, through what is no task: decisions, maps and joins."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from milepost.engine.trace import Trace
from milepost.visualize.diagram import link_label
from milepost.visualize.escape import one_line
from milepost.visualize.grouping import Box, Grouping, Link


@dataclass(frozen=True, slots=True)
class Route:
    """A way from one node to another. lines: the conditions on it. join: the last join on it, None for none."""

    lines: tuple[str, ...]
    join: str | None


class Routes:
    """The ways of one run; each is looked for once."""

    def __init__(self, grouping: Grouping, trace: Trace) -> None:
        self._grouping = grouping
        self._trace = trace
        self._outs: dict[str, list[Link]] = {id_: [] for id_ in grouping.boxes}
        for link in grouping.links:
            self._outs[link.source].append(link)
        self._found: dict[tuple[str, str], Route | None] = {}
        self._reached: dict[str, frozenset[str]] = {}

    def between(self, source: str, target: str) -> Route | None:
        """Return the way from one node to another that passes no other task, None if there is none."""
        key = (source, target)
        if key not in self._found:
            self._found[key] = self._look(source, target)
        return self._found[key]

    def reaches_join(self, node: str, join: str) -> bool:
        """Tell whether the output of a node may come into a join, without another task or join in between."""
        if node not in self._reached:
            self._reached[node] = frozenset(self._joins(node))
        return join in self._reached[node]

    def _look(self, source: str, target: str) -> Route | None:
        """Search breadth first, along taken links before others."""
        owners = self._grouping.owners
        if source not in owners or target not in owners:
            return None
        open_: deque[tuple[str, tuple[Link, ...]]] = deque([(owners[source], ())])
        seen: set[str] = set()
        while open_:
            id_, way = open_.popleft()
            for link in sorted(self._outs[id_], key=lambda one: not self._is_taken(one)):
                if link.target == owners[target]:
                    return self._route((*way, link))
                if link.target not in seen and _is_passed(self._grouping.boxes[link.target]):
                    seen.add(link.target)
                    open_.append((link.target, (*way, link)))
        return None

    def _is_taken(self, link: Link) -> bool:
        return all(self._trace.taken.get(edge, 0) for edge in link.via)

    def _route(self, way: Sequence[Link]) -> Route:
        joins = [link.target for link in way if self._grouping.boxes[link.target].kind == "join"]
        lines: list[str] = []
        for link in way[-1:] if joins else way:
            lines += link_label(self._grouping, link)
            lines += (f"was {one_line(value, 32)}" for value in self._values(link) if value.strip("'\"") not in lines)
        return Route(tuple(lines), joins[-1] if joins else None)

    def _values(self, link: Link) -> list[str]:
        """Return the value that decided for a link; only the last one is known, so none where it was passed often."""
        values = [self._trace.chosen[edge] for edge in link.via if edge in self._trace.chosen]
        return values[-1:] if all(self._trace.taken.get(edge) == 1 for edge in link.via) else []

    def _joins(self, node: str) -> set[str]:
        found: set[str] = set()
        owner = self._grouping.owners.get(node)
        open_ = [] if owner is None else [owner]
        seen: set[str] = set(open_)
        while open_:
            for link in self._outs[open_.pop()]:
                box = self._grouping.boxes[link.target]
                if box.kind == "join":
                    found.add(box.id)
                elif _is_passed(box) and box.id not in seen:
                    seen.add(box.id)
                    open_.append(box.id)
        return found


def _is_passed(box: Box) -> bool:
    """Tell whether a box has no tasks of its own."""
    return box.node.kind in ("join", "map", "broadcast") or (box.node.kind == "decision" and box.node.generated)
