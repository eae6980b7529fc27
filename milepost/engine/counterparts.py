"""Which node of a workflow stands for which node of an earlier definition of it.

An id that an author gave says so itself. A generated one may shift when an edge is added, so it says nothing: such a
node is recognized by its kind, and by the nodes with lasting ids that come before and after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from milepost.engine.definition import DefinedNode, Definition
from milepost.engine.position import END, START

Signature = tuple[str, frozenset[str], frozenset[str]]
"""(kind, the nearest lasting nodes before it, the nearest after it)"""


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
        {node.id: before.signature(node) for node in before.sorted(old.nodes) if node.id not in given},
        {node.id: after.signature(node) for node in after.sorted(new.nodes) if node.id not in lasting},
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
        self._ahead: dict[str, list[str]] = {}
        self._behind: dict[str, list[str]] = {}
        for edge in definition.edges:
            self._ahead.setdefault(edge.source, []).append(edge.target)
            self._behind.setdefault(edge.target, []).append(edge.source)

    def signature(self, node: DefinedNode) -> Signature:
        """Return what a node is recognized by."""
        return node.kind, self._nearest(node.id, self._behind)[0], self._nearest(node.id, self._ahead)[0]

    def sorted(self, nodes: Sequence[DefinedNode]) -> list[DefinedNode]:
        """Return nodes in an order that tells apart those with one signature: the nearer to what is before it first."""
        return sorted(nodes, key=lambda node: self._nearest(node.id, self._behind)[1])

    def _nearest(self, node_id: str, ways: Mapping[str, Sequence[str]]) -> tuple[frozenset[str], int]:
        """Return the nearest lasting nodes, going `ways`, and how many edges away the first of them is."""
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
                elif reached not in seen:
                    seen.add(reached)
                    beyond.append(reached)
            rim = beyond
        return frozenset(found), first


def match(old: Mapping[str, Signature], new: Mapping[str, Signature]) -> dict[str, str]:
    """Pair nodes by their signatures, in the order given where several have one.

    What is left is paired by kind and what comes after, or by kind and what comes before, where that is beyond doubt.
    """
    pairs: dict[str, str] = {}
    for names, others in grouped(old, new, (0, 1, 2)):
        if len(names) == len(others):
            pairs.update(zip(names, others, strict=True))
    rest = {name: signature for name, signature in old.items() if name not in pairs}
    free = {name: signature for name, signature in new.items() if name not in pairs.values()}
    claims: dict[str, set[str]] = {}
    for parts in ((0, 2), (0, 1)):
        for names, others in grouped(rest, free, parts):
            if len(names) == len(others) == 1:
                claims.setdefault(names[0], set()).add(others[0])
    claimed = [next(iter(found)) for found in claims.values() if len(found) == 1]
    for name, found in claims.items():
        (other, *more) = found
        if not more and claimed.count(other) == 1:
            pairs[name] = other
    return pairs


def grouped(
    old: Mapping[str, Signature], new: Mapping[str, Signature], parts: Sequence[int]
) -> list[tuple[list[str], list[str]]]:
    """Return the names on both sides that agree in some parts of their signatures; an empty one agrees with none."""
    groups: dict[tuple[object, ...], tuple[list[str], list[str]]] = {}
    for side, nodes in enumerate((old, new)):
        for name, signature in nodes.items():
            shown = tuple(signature[part] for part in parts)
            if all(shown):
                groups.setdefault(shown, ([], []))[side].append(name)
    return list(groups.values())
