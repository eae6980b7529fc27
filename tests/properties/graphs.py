"""Random pydantic-graph graphs of every construct, which always terminate.

A drawn plan is assembled from its end to its start: each part is given the route that follows it and returns the route
that leads into it. A route that makes a fork can be taken from one place only: `Assembly.anchored` puts a step first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from hypothesis import assume
from hypothesis import strategies as st
from pydantic_graph.id_types import JoinID, NodeID, generate_placeholder_node_id
from pydantic_graph.paths import (
    BroadcastMarker,
    DestinationMarker,
    LabelMarker,
    MapMarker,
    Path,
    PathItem,
)

from milepost.engine.failure import FailedWith, Succeeded
from milepost.engine.typed import AnyDestinationNode, EdgePath, Graph, GraphBuilder, Join, SourceNode
from tests.properties import bodies, handovers, plans, values
from tests.properties.handovers import AnyJoin, AnyStep, transform
from tests.properties.plans import Joining, Part, Plan, Tangle
from tests.properties.values import Token

START = "__start__"
TokenGraph = Graph[None, None, Token, Token]


class Sample:
    """A graph to run, what it was made of, and its input. (Not a dataclass: its graph is too long to print.)"""

    def __init__(self, graph: TokenGraph, plan: Plan | Tangle, token: Token) -> None:
        self.graph = graph
        self.plan = plan
        self.token = token

    def __repr__(self) -> str:
        return f"Sample({self.plan!r}, {self.token!r})"


@dataclass(frozen=True, slots=True)
class Route:
    """The rest of a path. single: it makes forks or adds edges when used, so it can be used once."""

    items: tuple[PathItem, ...]
    nodes: tuple[AnyDestinationNode, ...]
    single: bool = False

    def after(self, *items: PathItem) -> Route:
        return replace(self, items=(*items, *self.items))


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a part stands. forks: the forks a join may wait for, outermost first. floor: the outermost it should.

    join: the route into the join around the part, if there is one.
    """

    forks: tuple[str, ...]
    floor: int = 0
    join: Route | None = None

    def inside(self, *forks: str, floor: int, join: Route) -> Scope:
        return Scope((*self.forks, *forks), floor, join)


def route_to(node: AnyDestinationNode) -> Route:
    return Route((DestinationMarker(node.id),), (node,))


def changed_by(change: bodies.Change | None, route: Route) -> Route:
    return route if change is None else route.after(transform(change))


class Assembly:
    """Puts one plan together."""

    def __init__(self) -> None:
        self.builder = GraphBuilder[None, None, Token, Token](input_type=Token, output_type=Token)
        self.names = 0
        self.nodes = handovers.Handovers(self.builder)

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def finish(self, route: Route, name: str) -> TokenGraph:
        self.connect(self.builder.start_node, route)
        self.builder.name = name
        return self.builder.build()

    def connect(self, source: SourceNode[None, None, Any], route: Route) -> None:
        self.builder.add(EdgePath([source], Path([*route.items]), [*route.nodes]))

    def step(self, prefix: str, call: Callable[[str], bodies.Body], after: Route | None = None) -> AnyStep:
        """Add a step whose function is made by `call` from the step's id."""
        node_id = self.name(prefix)
        step: AnyStep = self.builder.step(call(node_id), node_id=node_id)
        if after is not None:
            self.connect(step, after)
        return step

    def anchored(self, after: Route) -> Route:
        return route_to(self.step("anchor", bodies.token_step, after)) if after.single else after

    # Parts

    def part(self, part: Part, after: Route, scope: Scope) -> Route:
        match part:
            case plans.Work() | plans.Fault():
                return self.work(part, after)
            case plans.Series():
                return self.series(part, after, scope)
            case plans.Parallel():
                return self.parallel(part, after, scope)
            case plans.Spread():
                return self.spread(part, after, scope)
            case plans.Twins():
                return self.twins(part, after, scope)
            case plans.Each():
                return self.each(part, after, scope)
            case plans.Choice():
                return self.choice(part, after, scope)
            case plans.Repeat():
                return self.repeat(part, after, scope)
            case plans.Handover():
                return self.handover(part, after, scope)
            case plans.Guard():
                return self.guard(part, after, scope)
            case plans.Escape():
                return self.escape(part, after, scope)

    def series(self, part: plans.Series, after: Route, scope: Scope) -> Route:
        for inner in reversed(part.parts):
            after = self.part(inner, after, scope)
        return after

    def work(self, part: plans.Work | plans.Fault, after: Route) -> Route:
        if isinstance(part, plans.Fault):
            return route_to(self.step("fault", bodies.fault_step, after))
        if part.style == "token":
            return route_to(self.step("step", bodies.token_step, after))
        second = self.step(part.style, bodies.MEETING[part.style], after)
        return route_to(self.step("to_", bodies.LEAVING[part.style], route_to(second)))

    def broadcast(self, fork_id: str, branches: list[Route]) -> Route:
        marker = BroadcastMarker([Path([LabelMarker("branch"), *route.items]) for route in branches], NodeID(fork_id))
        return Route((marker,), tuple(node for route in branches for node in route.nodes), single=True)

    def spread(self, part: plans.Spread, after: Route, scope: Scope) -> Route:
        after = self.anchored(after)
        return self.broadcast(self.name("spread"), [self.part(each, after, scope) for each in part.branches])

    def parallel(self, part: plans.Parallel, after: Route, scope: Scope) -> Route:
        by_edges = part.edges and len(part.branches) > 1
        source = self.name("fan")
        fork = f"{source}_broadcast_fork" if by_edges else source
        join, floor = self.join(part.join, (*scope.forks, fork), scope.floor, after)
        inside = scope.inside(fork, floor=floor, join=join)
        branches = [self.part(branch, join, inside) for branch in part.branches]
        if not by_edges:
            return self.broadcast(fork, branches)
        step: AnyStep = self.builder.step(bodies.token_step(source), node_id=source)
        for branch in branches:
            self.connect(step, branch)
        return route_to(step)

    def twins(self, part: plans.Twins, after: Route, scope: Scope) -> Route:
        fork = self.name("twins")
        after = self.anchored(after)
        branches: list[Route] = []
        for joining, parts in ((part.left_join, part.left), (part.right_join, part.right)):
            join, floor = self.join(joining, (*scope.forks, fork), scope.floor, after)
            inside = scope.inside(fork, floor=floor, join=join)
            branches.extend(self.part(each, join, inside) for each in parts)
        return self.broadcast(fork, branches)

    def each(self, part: plans.Each, after: Route, scope: Scope) -> Route:
        outer, inner = self.name("map"), self.name("map")
        forks = (outer, inner) if part.source == "nested" else (outer,)
        eager: JoinID | None = None
        if part.join is None:
            after, inside = self.anchored(after), scope
        else:
            joining = replace(part.join, named=part.join.named or part.eager)
            after, floor = self.join(joining, (*scope.forks, *forks), scope.floor, after)
            inside = scope.inside(*forks, floor=floor, join=after)
            eager = NodeID(after.nodes[0].id) if part.eager else None
        body = self.part(part.body, after, inside)
        if part.source == "nested":
            body = body.after(MapMarker(NodeID(inner), eager))
        route = replace(body, single=True)
        if part.source in bodies.READING:
            route = route.after(transform(bodies.READING[part.source]))
        return self.split(part, outer, route.after(MapMarker(NodeID(outer), eager)))

    def split(self, part: plans.Each, fork: str, route: Route) -> Route:
        """Put before a map what gives its items."""
        if part.source in bodies.SPLITTING_ON_PATH:
            return route.after(transform(bodies.SPLITTING_ON_PATH[part.source](fork, part.count)))
        if part.source == "stream":
            call = bodies.token_stream(fork, part.count)
            stream: AnyStep = self.builder.stream(call=call, node_id=f"{fork}_items")
            self.connect(stream, route)
            return route_to(stream)
        return route_to(self.step("split", lambda name: bodies.SPLITTING[part.source](name, part.count), route))

    def choice(self, part: plans.Choice, after: Route, scope: Scope) -> Route:
        after = self.anchored(after)
        chosen = part.branches[:2] if part.test == "class" else part.branches
        branches = [self.part(branch, after, scope) for branch in chosen]
        if part.test == "predicate":
            return self.decision([bodies.divides(index + 2) for index in range(len(branches) - 1)], branches)
        branches[-1] = self.anchored(branches[-1])  # it serves all the cases that are left
        types: list[object] = [values.Low, values.High] if part.test == "class" else [*handovers.LITERALS]
        give = values.token_of_side if part.test == "class" else values.token_of_label
        cases = [branches[min(index, len(branches) - 1)].after(transform(give)) for index in range(len(types))]
        call = bodies.side_step if part.test == "class" else bodies.label_step
        return route_to(self.step(part.test, call, self.by_type(types, cases)))

    def decision(self, matchers: list[Callable[[Token], bool]], branches: list[Route]) -> Route:
        """Add a decision: one branch per matcher, then one for everything else."""
        decision = self.builder.decision(node_id=self.name("decision"))
        tests: list[Callable[[Token], bool] | None] = [*matchers, None]
        for test, route in zip(tests, branches, strict=True):
            decision.branches.append(handovers.branch(Token, test, route.items, route.nodes))
        return Route((DestinationMarker(decision.id),), (decision,), single=any(route.single for route in branches))

    def by_type(self, types: list[object], branches: list[Route]) -> Route:
        decision = self.builder.decision()  # the id is left to upstream
        for source, route in zip(types, branches, strict=True):
            decision.branches.append(handovers.branch(source, None, route.items, route.nodes))
        return Route((DestinationMarker(decision.id),), (decision,), single=any(route.single for route in branches))

    def repeat(self, part: plans.Repeat, after: Route, scope: Scope) -> Route:
        head = self.step("round", bodies.round_step)
        body = self.part(part.body, route_to(head), Scope((), 0, scope.join))
        self.connect(head, self.decision([lambda token: token.fuel == 0], [after, body]))
        return route_to(head)

    def guard(self, part: plans.Guard, after: Route, scope: Scope) -> Route:
        """Add a step with an error edge, compiled as a builder would: a decision right behind it."""
        after = self.anchored(after)
        repaired = route_to(self.step("repair", bodies.repair_step, self.part(part.body, after, scope)))
        outcome = self.builder.decision(node_id=self.name("outcome"))
        outcome.branches.append(handovers.branch(Any, FailedWith((ValueError,)), repaired.items, repaired.nodes))
        outcome.branches.append(handovers.branch(Any, Succeeded(), after.items, after.nodes))
        behind = Route((DestinationMarker(outcome.id),), (outcome,))
        return route_to(self.step("guarded", bodies.fault_step, behind))

    def handover(self, part: plans.Handover, after: Route, scope: Scope) -> Route:
        step = self.step("landing", bodies.token_step, after)
        leave = handovers.Exit(step, ends=part.leave == "end")
        if part.leave == "join" and scope.join is not None:
            join = cast(AnyJoin, scope.join.nodes[0])  # the route into a join leads nowhere else
            leave = replace(leave, join=join, numbers=len(scope.join.items) > 1)
        first, second = self.nodes.add(self.name("Node"), leave, loops=part.shape == "loop")
        if part.shape == "union":
            union: AnyStep = self.step("either", lambda name: handovers.union_step(name, first, second))
            return replace(route_to(union), single=True)
        items, node = handovers.entrance(first)
        return Route((*items, DestinationMarker(node.id)), (node,))

    def escape(self, part: plans.Escape, after: Route, scope: Scope) -> Route:
        away = route_to(self.builder.end_node) if part.to == "end" else scope.join
        return after if away is None else self.decision([bodies.divides(3)], [away, after])

    # Joins

    def join(self, joining: Joining, forks: tuple[str, ...], floor: int, after: Route) -> tuple[Route, int]:
        """Add a join and return the route into it and the place in `forks` of the fork it waits for."""
        own = len(forks) - 1
        depth = {"own": own, "closest": own, "default": 0, "outer": max(floor, own - 1, 0)}[joining.parent]
        explicit = joining.parent in ("own", "outer") or depth < floor
        depth = own if depth < floor else depth
        join = self.make_join(joining, forks[depth] if explicit else None)
        self.connect(join, changed_by(bodies.RESULTING.get(joining.reducer), after))
        return changed_by(bodies.ENTERING.get(joining.reducer), route_to(join)), depth

    def make_join(self, joining: Joining, fork: str | None) -> AnyJoin:
        reducer, initial = bodies.REDUCERS[joining.reducer]
        label = joining.reducer if joining.named else None
        node_id = self.name(label) if label else generate_placeholder_node_id(joining.reducer)
        closest = joining.parent == "closest" and fork is None
        return Join(
            id=NodeID(node_id),
            reducer=reducer,
            initial_factory=initial,
            parent_fork_id=NodeID(fork) if fork else None,
            preferred_parent_fork="closest" if closest else "farthest",
        )


# From plans to samples


def assemble(plan: Plan) -> TokenGraph:
    """Build the graph of a plan of blocks."""
    assembly = Assembly()
    after = route_to(assembly.builder.end_node)
    scope = Scope((START,))
    if plan.wrap is not None:
        after, _ = assembly.join(replace(plan.wrap, parent="default"), (START,), 0, after)
        scope = Scope((START,), 0, after)
    return assembly.finish(assembly.part(plan.body, after, scope), "sample")


def assemble_tangle(tangle: Tangle) -> TokenGraph:
    """Build the graph of a tangle, from the last node to the first."""
    assembly = Assembly()
    last, _ = assembly.join(Joining("sorted"), (START,), 0, route_to(assembly.builder.end_node))
    routes = [last]
    for place in reversed(range(len(tangle.knots))):
        knot = tangle.knots[place]
        targets = [routes[len(tangle.knots) - target] for target in knot.targets]
        routes.append(_knot(assembly, knot, targets))
    return assembly.finish(routes[-1], "tangle")


def _knot(assembly: Assembly, knot: plans.Knot, targets: list[Route]) -> Route:
    if knot.kind == "decision":
        return assembly.decision([bodies.divides(index + 2) for index in range(len(targets) - 1)], targets)
    if knot.kind == "join":
        joining = replace(knot.join, parent="closest" if knot.join.parent == "closest" else "default")
        route, _ = assembly.join(joining, (START,), 0, targets[0])
        join = cast(AnyJoin, route.nodes[0])
        for target in targets[1:]:
            assembly.connect(join, changed_by(bodies.RESULTING.get(joining.reducer), target))
        return route
    step = assembly.step(knot.kind, bodies.token_step)
    for index, target in enumerate(targets):
        if knot.kind == "map" and index == 0:
            name = assembly.name("map")
            target = target.after(transform(bodies.path_list(name, None)), MapMarker(NodeID(name), None))
        assembly.connect(step, target)
    return route_to(step)


def is_sound(graph: TokenGraph) -> bool:
    """Tell whether every join can know what it waits for.

    Not so when a join between another join and that one's fork merges several runs of the fork, or when a map creates a
    join whose parent fork lies below the map.
    """
    for join_id, parent in graph.parent_forks.items():
        for inner in graph.intermediate_join_nodes[join_id]:
            fork = graph.parent_forks[inner].fork_id
            if fork != parent.fork_id and fork not in parent.intermediate_nodes:
                return False
        for node in graph.nodes.values():
            eager: object = getattr(node, "downstream_join_id", None)
            if eager == join_id and node.id != parent.fork_id and node.id not in parent.intermediate_nodes:
                return False
    return True


def tokens() -> st.SearchStrategy[Token]:
    """Draw what a graph is started with."""
    return st.builds(Token, st.integers(0, values.MODULUS - 1), st.integers(0, 3))


@st.composite
def graphs(draw: st.DrawFn, features: plans.Features = plans.EVERYTHING, *, depth: int = 3) -> Sample:
    """Draw a sound graph of nested blocks and its input."""
    plan = draw(plans.plans(features, depth=depth))
    graph = assemble(plan)
    assume(is_sound(graph))
    return Sample(graph, plan, draw(tokens()))


@st.composite
def tangled_graphs(draw: st.DrawFn, features: plans.Features = plans.EVERYTHING, *, most: int = 9) -> Sample:
    """Draw a sound graph of nodes joined at random and its input."""
    tangle = draw(plans.tangles(features, most=most))
    graph = assemble_tangle(tangle)
    assume(is_sound(graph))
    return Sample(graph, tangle, draw(tokens()))


def parts_of(plan: Plan) -> Iterator[Part]:
    """Give every part of a plan, the outer before the inner."""
    pending: list[Part] = [plan.body]
    while pending:
        part = pending.pop()
        yield part
        match part:
            case plans.Series():
                pending.extend(part.parts)
            case plans.Parallel() | plans.Spread() | plans.Choice():
                pending.extend(part.branches)
            case plans.Twins():
                pending.extend((*part.left, *part.right))
            case plans.Each() | plans.Repeat() | plans.Guard():
                pending.append(part.body)
            case _:
                pass
