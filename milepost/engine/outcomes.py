"""The decision behind a node with error edges: its failures take those, its output goes on as without them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from milepost.engine.branches import destination
from milepost.engine.failure import FailedWith, Succeeded
from milepost.engine.findings import listed, name_of
from milepost.engine.typed import AnyNode, Decision, DecisionBranch


def is_outcome(node: AnyNode | None) -> bool:
    """Tell whether a node is the decision between a node's error edges and the way of its output."""
    return isinstance(node, Decision) and any(isinstance(branch.matches, FailedWith) for branch in node.branches)


def goes_on(outcome: Decision[Any, Any, Any]) -> bool:
    """Tell whether the node before an outcome leads somewhere when it does not fail."""
    return any(isinstance(branch.matches, Succeeded) for branch in outcome.branches)


def check_outcome(outcome: Decision[Any, Any, Any], source: str) -> Iterator[str]:
    """Yield a fault for every error edge of the node `source` that can never be taken.

    The edges before it take every class of exception that it names, one of them alone or several together.
    """
    earlier: list[tuple[FailedWith, DecisionBranch[Any]]] = []
    for branch in outcome.branches:
        if not isinstance(branch.matches, FailedWith):
            continue
        taking = [taker(earlier, kind) for kind in branch.matches.classes]
        if None not in taking:
            first = dict.fromkeys(described(before) for before in taking if before is not None)
            why = "the one to {} comes first and takes" if len(first) == 1 else "those to {} come first and take"
            yield (
                f"The error edge from {name_of(source)} to {described((branch.matches, branch))} can never be taken: "
                f"{why.format(listed(first))} every such exception. "
                "Remove one of them, or add the narrower one first."
            )
        earlier.append((branch.matches, branch))


def taker(
    earlier: list[tuple[FailedWith, DecisionBranch[Any]]], kind: type[BaseException]
) -> tuple[FailedWith, DecisionBranch[Any]] | None:
    """Return the first of some error edges that takes every exception of a class."""
    return next((one for one in earlier if issubclass(kind, one[0].classes)), None)


def described(edge: tuple[FailedWith, DecisionBranch[Any]]) -> str:
    """Name where an error edge leads, and for what, as its author wrote it."""
    condition, branch = edge
    names = [kind.__name__ for kind in condition.classes]
    text = names[0] if len(names) == 1 else f"({', '.join(names)})"
    return f"{destination(branch)} (on_error={text})"
