"""Two definitions as one: which boxes and links both have, and which only one of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from milepost.engine.counterparts import counterparts
from milepost.engine.definition import Definition
from milepost.engine.former import with_ends
from milepost.visualize.grouping import Box, Grouping, Link, group, in_flow

Pair = tuple[int | None, int | None]
"""The index of a link in the one grouping and in the other; None where it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Union:
    """Two groupings and what they are together.

    whole: the boxes and links of both, those of `other` where both have one. pairs: of each link of `whole`. names: the
    ids that nodes of `one` have here, where they are not their own.
    """

    one: Grouping
    other: Grouping
    whole: Grouping
    pairs: tuple[Pair, ...]
    names: Mapping[str, str]


def united(one: Definition, other: Definition) -> Union:
    """Put two versions of a workflow together; nodes whose id was generated are told by where they stand."""
    names: Mapping[str, str] = counterparts(one, other, {}) if one != other else {}
    before, after = group(renamed(one, names)), group(other)
    boxes = {**before.boxes, **after.boxes}
    found = [(_newer(before, after, pair), pair) for pair in _paired(before.links, after.links)]
    found.sort(key=lambda pair: pair[0].error)
    known = [*after.boxes, *(id_ for id_ in before.boxes if id_ not in after.boxes)]
    links = [link for link, _ in found]
    order = in_flow(sorted(known, key=lambda id_: boxes[id_].kind == "end"), links)
    rank = {id_: number for number, id_ in enumerate(order)}
    found.sort(key=lambda pair: rank[pair[0].source])
    whole = Grouping(
        {id_: boxes[id_] for id_ in order},
        tuple(link for link, _ in found),
        {**before.owners, **after.owners},
    )
    return Union(one=before, other=after, whole=whole, pairs=tuple(pair for _, pair in found), names=names)


def _newer(before: Grouping, after: Grouping, pair: Pair) -> Link:
    """Return a link as it is now, or as it was where it is no more."""
    old, new = pair
    if new is not None:
        return after.links[new]
    assert old is not None
    return before.links[old]


def renamed(definition: Definition, names: Mapping[str, str]) -> Definition:
    """Return a definition whose nodes have other ids."""
    if not names:
        return definition
    nodes = (
        replace(node, id=names.get(node.id, node.id), waits=names.get(node.waits, node.waits))
        for node in definition.nodes
    )
    edges = (with_ends(edge, names) for edge in definition.edges)
    return replace(definition, nodes=tuple(nodes), edges=tuple(edges))


def _paired(before: Sequence[Link], after: Sequence[Link]) -> list[Pair]:
    """Pair links between the same boxes: first those that say the same, then the others in their order."""
    open_: dict[tuple[str, str, bool], list[int]] = {}
    for index, link in enumerate(before):
        open_.setdefault(_ends(link), []).append(index)
    found: dict[int, int] = {}
    for is_equal in (True, False):
        for index, link in enumerate(after):
            left = open_.get(_ends(link), [])
            fitting = [old for old in left if not is_equal or before[old].label == link.label]
            if index not in found and fitting:
                found[index] = fitting[0]
                left.remove(fitting[0])
    pairs: list[Pair] = [(found.get(index), index) for index in range(len(after))]
    return [*pairs, *((old, None) for left in open_.values() for old in left)]


def _ends(link: Link) -> tuple[str, str, bool]:
    return link.source, link.target, link.error


def box_differences(one: Box, other: Box) -> list[str]:
    """Say what is different in a node that both have, a few words each; nothing for one that is the same."""
    before, after = one.node, other.node
    found = [f"{one.kind} → {other.kind}"] if (one.kind, one.base) != (other.kind, other.base) else []
    if one.name != other.name and not after.generated:
        found.append(f"was called {one.name}")
    gone = [mark for mark in before.marks if mark not in after.marks]
    new = [mark for mark in after.marks if mark not in before.marks]
    if gone and new:
        found.append(f"{', '.join(gone)} → {', '.join(new)}")
    elif gone or new:
        found.append(f"{'−' if gone else '+'} {', '.join(gone or new)}")
    for what, old, now in (("takes", before.input, after.input), ("gives", before.output, after.output)):
        if old != now:
            found.append(f"{what} {now or 'anything'}, was {old or 'anything'}")
    if before.workflow != after.workflow:
        found.append(f"runs {after.workflow or 'no workflow'}, was {before.workflow or 'none'}")
    elif before.child != after.child:
        found.append("changed inside")
    if before.stream != after.stream:
        found.append("streams now" if after.stream else "streams no more")
    if before.waits != after.waits and not found:
        found.append("waits for another fork")
    if before.doc != after.doc and not found:
        found.append("described otherwise")
    return found
