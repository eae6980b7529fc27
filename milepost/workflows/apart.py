"""Policies that are said apart from where a node is declared: for nodes of pydantic-graph's own, and for maps."""

from __future__ import annotations

from typing import Any

from milepost.engine.declared import DeclaredStep
from milepost.engine.errors import WorkflowError
from milepost.engine.policy import Policy, PolicyOptions, policy_of
from milepost.engine.spec import NO_POLICY
from milepost.workflows.draft import Draft, Each, as_node
from milepost.workflows.naming import renamed


def say_policy(draft: Draft, given: Any, options: PolicyOptions) -> None:
    """Note the policy of a node: what was known of it, changed by what is said now.

    given: a node, a class of BaseNode or an id. Raises WorkflowError: it is none of these, or the policy cannot work.
    """
    node = as_node(given)
    node_id: object = given if isinstance(given, str) else getattr(node, "id", None)
    if not isinstance(node_id, str):
        raise WorkflowError(f"A policy is given for {given!r}, which is no node. Decorate it with @wf.function first.")
    draft.policies[node_id] = policy_of(options, node_id, draft.policies.get(node_id) or declared_policy(draft, given))


def declared_policy(draft: Draft, given: Any) -> Policy:
    """Return the policy that a node was declared with."""
    node: Any = next((known for known in draft.announced if known.id == given), given)
    step: Any = getattr(node, "step", node)  # of a decide node
    if isinstance(step, DeclaredStep):
        return step.declared.policy
    return node.policy if isinstance(node, Each) else NO_POLICY


def said_policies(draft: Draft) -> dict[str, Policy]:
    """Return the policies that were said apart, by the final id of the node."""
    maps = {node.id: node.policy for node in draft.nodes.values() if isinstance(node, Each)}
    said = {node_id: policy for node_id, policy in maps.items() if policy != NO_POLICY} | draft.policies
    return {str(renamed(node_id, draft.final)): policy for node_id, policy in said.items()}
