"""Which node of a workflow stands for which node of an earlier definition of it.

An id that an author gave says so itself. A generated one may shift when an edge is added, so it says nothing: such a
node is recognized by its kind, and by the nodes with lasting ids that come before and after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from milepost.engine.definition import DefinedNode, Definition
from milepost.engine.position import END, START

Side = frozenset[str]
"""Nodes that come before another, or after it."""
FORKS: Final = ("map", "broadcast")


@dataclass(frozen=True, slots=True)
class Signature:
    """What a node is recognized by.

    kind: of the node. before, after: the nearest lasting nodes on either side. beside, behind: the same, but no farther
    than the next node that has an id of its own, lasting or not.
    """

    kind: str
    before: Side
    after: Side
    beside: Side
    behind: Side


Key = Callable[[Signature], object]
"""What nodes have to agree in; None: nothing agrees with it."""
Signatures = Mapping[str, Signature]


def counterparts(old: Definition, new: Definition, renamed: Mapping[str, str]) -> Mapping[str, str]:
    """Find for every node of `old` its node in `new`; return the ids that changed, by the ids they had.

    renamed: ids that the author says have changed. A generated id that was not recognized, and that another node has
    now, gets an id that no node has, so that the two are not taken for one. Cost: nodes times edges, for the generated
    nodes alone.
    """
    taken = {node.id for node in new.nodes}
    given = {node.id for node in old.nodes if not node.generated or node.id in renamed}
    lasting = {START, END} | (
        {node.id for node in new.nodes if not node.generated} & {renamed.get(one, one) for one in given}
    )
    lasting |= taken.intersection(renamed.values())
    before = View(old, renamed, lasting)
    after = View(new, {}, lasting)
    matched = match(
        before.signatures([node for node in old.nodes if node.id not in given]),
        after.signatures([node for node in new.nodes if node.id not in lasting]),
    )
    names = {**renamed, **{known: found for known, found in matched.items() if found != known}}
    lost = {node.id for node in old.nodes} - given - matched.keys()
    for known in sorted(lost & taken):
        names[known] = free_name(known, taken)
    return names


def free_name(known: str, taken: set[str]) -> str:
    """Return an id for a node that is no more, where another has its id; it counts as taken from now on."""
    number = 1
    while (name := f"{known} (earlier {number})") in taken:
        number += 1
    taken.add(name)
    return name


class View:
    """A definition as seen from its lasting nodes. names: what nodes are called now. lasting: ids as they are now."""

    def __init__(self, definition: Definition, names: Mapping[str, str], lasting: Iterable[str]) -> None:
        self._names = names
        self._lasting = frozenset(lasting)
        self._own = {node.id for node in definition.nodes if not node.generated}
        self._ahead: dict[str, list[str]] = {}
        self._back: dict[str, list[str]] = {}
        for edge in definition.edges:
            self._ahead.setdefault(edge.source, []).append(edge.target)
            self._back.setdefault(edge.target, []).append(edge.source)

    def signatures(self, nodes: Iterable[DefinedNode]) -> dict[str, Signature]:
        """Return the signatures of nodes, of two with one signature that first that is nearer to what is before it."""
        near = {node.id: self._nearest(node.id, self._back, near=False)[1] for node in nodes}
        return {node.id: self._signature(node) for node in sorted(nodes, key=lambda node: near[node.id])}

    def _signature(self, node: DefinedNode) -> Signature:
        sides = (
            self._nearest(node.id, ways, near=near)[0] for near in (False, True) for ways in (self._back, self._ahead)
        )
        return Signature(node.kind, *sides)

    def _nearest(self, node_id: str, ways: Mapping[str, Sequence[str]], *, near: bool) -> tuple[Side, int]:
        """Return the nearest lasting nodes, going `ways`, and how many edges away the first of them is.

        near: stop at nodes that have an id of their own and do not last.
        """
        found: set[str] = set()
        seen = {node_id}
        distance, first, rim = 0, 0, [node_id]
        while rim:
            distance += 1
            beyond: list[str] = []
            for reached in (one for start in rim for one in ways.get(start, ())):
                name = self._names.get(reached, reached)
                if name in self._lasting:
                    found.add(name)
                    first = first or distance
                elif near and reached in self._own:
                    found.add(f"only here: {reached}")
                elif reached not in seen:
                    seen.add(reached)
                    beyond.append(reached)
            rim = beyond
        return frozenset(found), first


def match(old: Mapping[str, Signature], new: Mapping[str, Signature]) -> dict[str, str]:
    """Pair nodes by their signatures, in the order given where several have one.

    What is left is paired by less, where that is beyond doubt: a fork by what it leads to, as what is pending is there;
    any node by what comes after or before it, unless the one speaks for one node and the other for another.
    """
    pairs: dict[str, str] = {}
    for key in (everything, surroundings):
        for names, others in grouped(old, new, pairs, key):
            if len(names) == len(others):
                pairs.update(zip(names, others, strict=True))
    pairs |= dict(alone(old, new, pairs, opening))
    claims: dict[str, set[str]] = {}
    for key in (following, preceding):
        for name, other in alone(old, new, pairs, key):
            claims.setdefault(name, set()).add(other)
    certain = {name: next(iter(found)) for name, found in claims.items() if len(found) == 1}
    wanted = Counter(certain.values())
    return pairs | {name: other for name, other in certain.items() if wanted[other] == 1}


def everything(one: Signature) -> object:
    return one


def surroundings(one: Signature) -> object:
    return one.kind, one.before, one.after


def opening(one: Signature) -> object:
    return (one.kind, one.behind) if one.kind in FORKS and one.behind else None


def following(one: Signature) -> object:
    return (one.kind, one.after) if one.after else None


def preceding(one: Signature) -> object:
    return (one.kind, one.before) if one.before else None


def grouped(
    old: Signatures, new: Signatures, pairs: Mapping[str, str], key: Key
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the nodes on both sides that are in no pair yet and agree in something."""
    groups: dict[object, tuple[list[str], list[str]]] = {}
    paired = ({*pairs}, {*pairs.values()})
    for side, nodes in enumerate((old, new)):
        for name, signature in nodes.items():
            if name not in paired[side] and (shown := key(signature)) is not None:
                groups.setdefault(shown, ([], []))[side].append(name)
    yield from groups.values()


def alone(old: Signatures, new: Signatures, pairs: Mapping[str, str], key: Key) -> Iterator[tuple[str, str]]:
    """Yield the two nodes that agree in something where no others do."""
    for names, others in grouped(old, new, pairs, key):
        if len(names) == len(others) == 1:
            yield names[0], others[0]
