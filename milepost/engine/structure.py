"""Whether what is pending in a stored run still has its place in the graph of a workflow that has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Final, TypeVar

from milepost.engine.definition import DefinedNode, Definition
from milepost.engine.findings import listed
from milepost.engine.pending import Standing, chains_of, standings
from milepost.engine.plan import WORK, Plan, PlanNode, Role
from milepost.engine.position import START, Position

ThingT = TypeVar("ThingT")

WAITS: Final = {"ask": "an answer", "event": "event {!r}", "time": "a time"}
FORKS: Final[Mapping[Role, str]] = {"map": "map", "broadcast": "broadcast"}
"""The forks, with the kind that they have in a definition."""


@dataclass(frozen=True)
class Structure:
    """Compares where everything pending stands with a graph.

    position: whose nodes have the ids of `plan` already. old: the definition that the run has followed so far. names:
    the new ids of its nodes, where they differ.
    """

    plan: Plan
    position: Position
    old: Definition
    names: Mapping[str, str]

    def faults(self) -> Iterator[str]:
        """Yield what has no place any more, a sentence each, with the way out."""
        yield from self._vanished()
        yield from self._waits()
        yield from self._lost_forks()
        yield from self._streams()
        yield from self._joins()
        yield from self._unjoined()
        yield from self._passed()

    # --- what is there -----------------------------------------------------------------------------------------------

    def is_work(self, node: str) -> bool:
        """Tell whether a node can be given a task."""
        found = self.plan.nodes.get(node)
        return found is not None and found.role in WORK

    def _vanished(self) -> Iterator[str]:
        """Nodes with tasks, and joins with items, that are no more."""
        tasks = [*self.position.tasks.values(), *(stream.task for stream in self.position.streams.values())]
        for node in unique(task.node for task in tasks):
            if not self.is_work(node):
                yield self._no_more("Node", "has a task waiting", "node", node)
        for node in unique(task.node for task, _ in self.position.unrouted.values()):
            if node != START and not self.is_work(node):
                yield self._no_more("Node", "has an output to be routed", "node", node)
        for join in unique(waiting.join for waiting in self.position.joins.values()):
            if not self._is_join(join):
                yield self._no_more("Join", "has items waiting", "join", join)

    def _waits(self) -> Iterator[str]:
        """Nodes that wait for something that they would not take any more."""
        for key, waiting in self.position.waiting.items():
            node = self.position.tasks[key].node
            if not self.is_work(node) or waiting.is_inside:
                continue
            now = [(one.kind, one.event) for one in self.plan.nodes[node].expects]
            if now != [(one.kind, one.event) for one in waiting.waits]:
                words = " or ".join(WAITS[one.kind].format(one.event) for one in waiting.waits)
                yield (
                    f"Node {self._shown(node)!r} waits for {words}, and does not any more. Let it wait for that again, "
                    "or give what it is now another id and keep it."
                )

    def _is_join(self, node: str) -> bool:
        found = self.plan.nodes.get(node)
        return found is not None and found.join is not None

    def _lost_forks(self) -> Iterator[str]:
        """Forks with branches under way that are no more, are of another kind, or no longer lead to what is pending."""
        for fork in self._live_forks:
            found = self.plan.nodes.get(fork)
            kind = None if found is None else FORKS.get(found.role)
            before = self._before[fork].kind if fork in self._before else kind
            if kind is None:
                yield self._no_more("Fork", "has branches under way", "fork", fork)
            elif kind != before:
                yield (
                    f"Fork {self._shown(fork)!r} has branches under way as a {before}, and is a {kind} now. Make it a "
                    f"{before} again, and give the {kind} another id."
                )
        for node, forks in unique((one.node, tuple(fork for fork, _ in one.chain)) for one in self._stood):
            for fork in self._left(node, forks):
                yield (
                    f"Node {self._shown(node)!r} has a task waiting in a branch of fork {self._shown(fork)!r}, which "
                    "does not lead to it any more. Lead it there again."
                )

    def _left(self, node: str, forks: tuple[str, ...]) -> Iterator[str]:
        """Yield the forks that a node is in a branch of, and that no longer lead to it before their join."""
        if node not in self.plan.nodes:
            return
        for number, fork in enumerate(forks):
            ends = frozenset(name for name, join in self._cuts.items() if join in forks[: number + 1])
            led = self._ways.beyond(fork, ends)
            if fork in self.plan.nodes and node in self._before_ways.beyond(fork) and node not in led:
                yield fork

    @cached_property
    def _cuts(self) -> Mapping[str, str]:
        """By join: the fork whose branches end there."""
        return {
            name: node.join.cut
            for name, node in self.plan.nodes.items()
            if node.join is not None and node.join.cut not in (None, START)  # what leaves the start is never out of it
        }

    @cached_property
    def _stood(self) -> list[Standing]:
        return standings(self.position)

    @cached_property
    def _live_forks(self) -> tuple[str, ...]:
        forks = [fork for one in self._stood for fork, _ in one.chain]
        forks += [stream.fork for stream in self.position.streams.values()]
        return tuple(sorted({fork for fork in forks if fork != START}))

    def _streams(self) -> Iterator[str]:
        """Streams that have given a part of their items, and lead elsewhere now."""
        for stream in self.position.streams.values():
            node = self.plan.nodes.get(stream.task.node)
            if node is None or node.role not in WORK or stream.fork not in self.plan.nodes:
                continue
            begun = f"Node {self._shown(node.id)!r} has given {stream.count} items of a stream, and"
            before = self._before.get(node.id)
            if before is not None and before.stream and not self.plan.workflow.specs[node.id].stream:
                yield f"{begun} gives all of its output at once now. Make it a stream again."
            elif not self._leads_straight(node, stream.fork):
                yield f"{begun} does not lead straight to {self._shown(stream.fork)!r} any more. Lead it there again."
            elif stream.mark != "#" and (joins := self.plan.parents.get(stream.fork)):
                yield self._uncounted(stream.fork, joins[0], stream.fork)

    def _leads_straight(self, node: PlanNode, fork: str) -> bool:
        if not node.exits:
            return False
        way = node.exits[0]
        outcome = self.plan.nodes[way.target]
        way = outcome.exits[-1] if outcome.catches else way
        return way.target == fork and not way.transforms

    # --- what waits for what -----------------------------------------------------------------------------------------

    def _joins(self) -> Iterator[str]:
        """Joins with items that belong to another fork now."""
        for waiting in self.position.joins.values():
            node = self.plan.nodes.get(waiting.join)
            if node is None or node.join is None:
                continue
            fork = node.join.fork
            for chain in chains_of(waiting):
                if Standing(waiting.join, chain).run_of(fork) != waiting.run:
                    before = next((name for name, run in chain if run == waiting.run), "another fork")
                    yield (
                        f"Join {self._shown(waiting.join)!r} has items that wait for the rest of fork "
                        f"{self._shown(before)!r}, and it waits for {self._shown(fork)!r} now. Have it wait for the "
                        "same fork, e.g. with parent_fork_id=..."
                    )
                    break

    def _unjoined(self) -> Iterator[str]:
        """Joins that wait for a fork which what is pending before them has never passed."""
        for one in self._stood:
            for join, fork in self.plan.nodes[one.node].watch if one.node in self.plan.nodes else ():
                if one.run_of(fork) is None:
                    yield self._uncounted(one.node, join, fork)

    def _uncounted(self, node: str, join: str, fork: str) -> str:
        return (
            f"Node {self._shown(node)!r} leads to join {join!r} now, which waits for fork {fork!r}, and what is "
            "pending there was begun when nothing waited for that, so the join could not tell what belongs together. "
            "Leave the join out, or finish the run first."
        )

    def _passed(self) -> Iterator[str]:
        """New joins that a part of what they wait for has passed already."""
        joins = {node.id: node.join.fork for node in self.plan.nodes.values() if node.join is not None}
        for join, fork in joins.items():
            known = self._before.get(join)
            if known is not None and known.kind == "join" and self.names.get(known.waits, known.waits) in (fork, ""):
                continue
            ahead = {name for name, node in self.plan.nodes.items() if (join, fork) in node.watch}
            coming = {one.run_of(fork) for one in self._stood if one.node in ahead} - {None}
            gone = [one.node for one in self._stood if one.node not in ahead and one.run_of(fork) in coming]
            late = unique(self._shown(node) for node in gone if node in self._ways.beyond(join))
            if late:
                yield (
                    f"Join {join!r} waits for all of fork {fork!r} now, and what is pending at "
                    f"{listed(map(repr, late))} has passed its place already, so it would be missing there. Leave the "
                    "join as it was, or finish the run first."
                )

    # --- the two graphs ----------------------------------------------------------------------------------------------

    @cached_property
    def _before(self) -> Mapping[str, DefinedNode]:
        """The nodes of the old definition, by the ids that they have now."""
        return {self.names.get(node.id, node.id): node for node in self.old.nodes}

    @cached_property
    def _ways(self) -> Ways:
        return Ways({name: [way.target for way in node.exits] for name, node in self.plan.nodes.items()})

    @cached_property
    def _before_ways(self) -> Ways:
        ways: dict[str, list[str]] = {}
        for edge in self.old.edges:
            source, target = (self.names.get(end, end) for end in (edge.source, edge.target))
            ways.setdefault(source, []).append(target)
        return Ways(ways)

    # --- words -------------------------------------------------------------------------------------------------------

    def _shown(self, node: str) -> str:
        """Return the id that a node had in the old definition, by which the run is known."""
        found = self._before.get(node)
        return node if found is None else found.id

    def _no_more(self, what: str, stands: str, kind: str, node: str) -> str:
        shown = self._shown(node)
        begin = f"{what} {shown!r} {stands}, but the workflow has no such {kind} any more."
        before = self._before.get(node)
        if before is not None and before.generated:
            return (
                f"{begin} Its id was made up, and no {before.kind} stands in the same place now. Lead the edges as "
                f"they were, or raise the version and migrate: stored.rename({shown!r}, ...)."
            )
        new = [name for name in self.plan.nodes if name not in self._before]
        close = get_close_matches(shown, new, 1) or (new if len(new) == 1 else [])
        guess = f"{close[0]!r}" if close else "..."
        return f"{begin} Give it back its id, or raise the version and migrate: stored.rename({shown!r}, {guess})."


class Ways:
    """Who can be come to from whom. ahead: by node, those after it."""

    def __init__(self, ahead: Mapping[str, Iterable[str]]) -> None:
        self._ahead = ahead
        self._beyond: dict[tuple[str, frozenset[str]], set[str]] = {}

    def beyond(self, node: str, ends: frozenset[str] = frozenset()) -> set[str]:
        """Return every node that can be come to from one; worked out once. ends: nodes beyond which nobody goes."""
        if (node, ends) not in self._beyond:
            found: set[str] = set()
            rim = [node]
            while rim:
                going = (one for one in rim if one not in ends)
                rim = unique(name for one in going for name in self._ahead.get(one, ()) if name not in found)
                found.update(rim)
            self._beyond[node, ends] = found
        return self._beyond[node, ends]


def unique(things: Iterable[ThingT]) -> list[ThingT]:
    """Return things without repetition, in order."""
    return list(dict.fromkeys(things))
