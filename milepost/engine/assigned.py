"""Which node may have which policy, and giving nodes the policies that were said apart from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from milepost.engine.findings import did_you_mean, listed, name_of, sentence
from milepost.engine.flow import Nodes, is_node_type
from milepost.engine.policy import NAMES, Policy
from milepost.engine.spec import NO_POLICY, UNKNOWN, NodeKind, NodeSpec
from milepost.engine.typed import AnyNode, Fork, NodeStep, Step

ENDS: Final = (NodeKind.START, NodeKind.END)

ONE_ITEM_AT_A_TIME: Final = ("cache", "at_most_once")
"""What makes no sense of a stream, whose items are committed one by one and whose body runs again on a resume."""


def with_policies(
    nodes: Nodes, specs: Mapping[str, NodeSpec], policies: Mapping[str, object]
) -> tuple[dict[str, NodeSpec], list[str]]:
    """Return the descriptions of nodes with these policies, and what is wrong with any policy, a sentence each.

    policies: by the id of the node; they take the place of those that the nodes had.
    """
    given = dict(specs)
    faults: list[str] = []
    for node_id, policy in policies.items():
        if not isinstance(policy, Policy):
            faults.append(f"The policy of node {node_id!r} is {policy!r}. Give a Policy, e.g. Policy(timeout=30.0).")
        elif node_id in given:
            given[node_id] = replace(given[node_id], policy=policy)
        else:
            guess = did_you_mean(node_id, [one for one, spec in specs.items() if spec.kind not in ENDS])
            faults.append(f"A policy is given for the node {node_id!r}, and there is none.{guess}")
    for node_id, node in nodes.items():
        if given[node_id].policy is not NO_POLICY:
            faults += misplaced(node, given[node_id])
    return given, faults


def misplaced(node: AnyNode, spec: NodeSpec) -> Iterator[str]:
    """Yield a fault when a node has a policy that means nothing for it."""
    wrong = [name for name in NAMES if getattr(spec.policy, name) != getattr(NO_POLICY, name)]
    if isinstance(node, Fork) and node.is_map:
        wrong = [name for name in wrong if name != "max_concurrency"]
        reason = "it runs nothing itself. Give it to the node that the map leads to; a map has only max_concurrency"
    elif not isinstance(node, Step):
        reason = "it runs nothing that could be carried out in another way. Give it to the node before or after"
    elif spec.stream:
        wrong = [name for name in wrong if name in ONE_ITEM_AT_A_TIME]
        reason = (
            "its items are committed one by one, and its body runs again when it is resumed. Leave it out, or let a "
            "function node do what should happen once"
        )
    elif spec.child is not None:
        wrong = [name for name in wrong if name == "at_most_once"]
        reason = (
            "its run goes on where it stopped. Give it to those nodes of the workflow whose effects must not come twice"
        )
    elif isinstance(node, NodeStep) or (spec.output_type is not UNKNOWN and is_node_type(spec.output_type)):
        wrong = [name for name in wrong if name == "cache"]
        reason = "what it returns says where to go, which is not kept. Let a function node make what should be kept"
    else:
        return
    if wrong:
        yield f"{subject(node, spec)} cannot have {listed(wrong)}: {reason}."


def subject(node: AnyNode, spec: NodeSpec) -> str:
    """Name a node with its kind, to begin a sentence with."""
    if spec.kind in ENDS:
        return sentence(name_of(spec.id))
    kind = "The stream" if spec.stream else "Node" if isinstance(node, Step) else f"The {spec.kind.value}"
    return f"{kind} {spec.id!r}"
