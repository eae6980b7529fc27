"""Whether the branches of a decision decide every value, and each can be taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any, Literal

from pydantic_graph.paths import DestinationMarker, LabelMarker
from pydantic_graph.util import unpack_type_expression

from milepost.engine.assignability import classes_fit, members, runtime_class, says_nothing, type_name, values_of
from milepost.engine.findings import did_you_mean, listed, name_of
from milepost.engine.flow import ChoiceType, IsInstance
from milepost.engine.spec import UNKNOWN, LabelIs
from milepost.engine.typed import Decision, DecisionBranch

Branches = Sequence[DecisionBranch[Any]]


def check_decision(decision: Decision[Any, Any, Any], source: str, given: object, *, closed: bool) -> Iterator[str]:
    """Yield the faults of one decision.

    source: the node it decides for. given: the type of what it decides, unknown when nobody declared it. closed: its
    author asked for every value to be decided, so that conditions nobody can see through need an `otherwise`.
    """
    branches = decision.branches
    if decides_by_instance(branches):
        return
    yield from check_order(branches, source)
    if isinstance(given, ChoiceType):
        yield from check_labels(branches, source, given.label)
    else:
        yield from check_classes(branches, source, given)
        yield from check_coverage(branches, source, given, closed=closed)


def decides_by_instance(branches: Branches) -> bool:
    """Tell whether pydantic-graph made these branches of a return hint: then the value itself says where to go."""
    return bool(branches) and all(branch.matches is None and wanted_type(branch) is NoneType for branch in branches)


def wanted_type(branch: DecisionBranch[Any]) -> object:
    """Return the type that a branch takes, unknown when its condition decides or when it takes everything."""
    wanted: object = unpack_type_expression(branch.source)
    if wanted is object or (branch.matches is not None and not isinstance(branch.matches, IsInstance)):
        return UNKNOWN
    return wanted


def takes_all(branch: DecisionBranch[Any]) -> bool:
    return branch.matches is None and wanted_type(branch) is UNKNOWN


def destination(branch: DecisionBranch[Any]) -> str:
    """Name where a branch leads."""
    ends = [item.destination_id for item in branch.path.items if isinstance(item, DestinationMarker)]
    return name_of(ends[-1]) if ends else "nowhere"


def condition(branch: DecisionBranch[Any]) -> str:
    """Name the condition of a branch as its author wrote it, as far as that is known."""
    if isinstance(branch.matches, LabelIs):
        return f"when={branch.matches.label!r}"
    if takes_all(branch):
        return "otherwise"
    if wanted_type(branch) is not UNKNOWN:
        return f"when={type_name(wanted_type(branch))}"
    labels = [item.label for item in branch.path.items if isinstance(item, LabelMarker)]
    return f"when {labels[0]}" if labels else "its condition"


def check_order(branches: Branches, source: str) -> Iterator[str]:
    """Yield a fault for every branch that can never be taken, because one before it takes all that it would."""
    for position, branch in enumerate(branches):
        for earlier in branches[:position]:
            if takes_before(earlier, branch):
                yield (
                    f"The edge from {name_of(source)} to {destination(branch)} ({condition(branch)}) can never be "
                    f"taken: the one to {destination(earlier)} ({condition(earlier)}) comes first and takes every such "
                    "value. Remove one of them, or add the narrower one first."
                )
                break


def takes_before(earlier: DecisionBranch[Any], later: DecisionBranch[Any]) -> bool:
    if takes_all(earlier):
        return True
    if isinstance(earlier.matches, LabelIs) or isinstance(later.matches, LabelIs):
        return type(earlier.matches) is type(later.matches) and same_label(earlier.matches, later.matches)
    first, second = wanted_type(earlier), wanted_type(later)
    if first is UNKNOWN or second is UNKNOWN:
        return first is second and earlier.matches is not None and earlier.matches is later.matches
    return all(any(covers(one, other) for one in members(first)) for other in members(second))


def same_label(one: object, other: object) -> bool:
    assert isinstance(one, LabelIs)
    assert isinstance(other, LabelIs)
    return type(one.label) is type(other.label) and one.label == other.label


def covers(wanted: object, member: object) -> bool:
    """Tell whether a branch for the type `wanted` takes every value of another type."""
    values, others = values_of(wanted), values_of(member)
    if values is not None and others is not None:
        return all(any(type(one) is type(other) and one == other for one in values) for other in others)
    known, own = runtime_class(wanted), runtime_class(member)
    if others is not None and known is not None:
        return all(isinstance(other, known) for other in others)
    if known is None or own is None or values is not None:
        return wanted == member
    try:
        return issubclass(own, known)
    except TypeError:
        return False


def check_labels(branches: Branches, source: str, label_type: object) -> Iterator[str]:
    """Yield the faults of the labels of a decide node: those it cannot choose, and those nobody takes."""
    values = values_of(label_type) if label_type is not UNKNOWN else None
    taken = [branch.matches.label for branch in branches if isinstance(branch.matches, LabelIs)]
    otherwise = any(takes_all(branch) for branch in branches)
    if values is None:
        if not otherwise:
            known = "its return type is not known" if label_type is UNKNOWN else f"it returns {type_name(label_type)}"
            yield (
                f"The decision {source!r} may choose a value that no edge takes, because {known}. Annotate it with a "
                f"Literal, an Enum or bool, or add an edge with otherwise=True."
            )
        return
    for label in taken:
        if not contains(values, label):
            names = listed(map(repr, values), "or")
            yield f"The decision {source!r} never chooses {label!r}; it returns {names}.{did_you_mean(label, values)}"
    missing = [value for value in values if not contains(taken, value)]
    if missing and not otherwise:
        yield (
            f"The decision {source!r} has no edge for {listed(map(repr, missing))}. Add wf.edge({source}, ..., "
            f"when={missing[0]!r}), or an edge with otherwise=True."
        )


def contains(values: Sequence[object], label: object) -> bool:
    return any(type(value) is type(label) and value == label for value in values)


def check_classes(branches: Branches, source: str, given: object) -> Iterator[str]:
    """Yield a fault for every branch whose type has nothing in common with what is decided."""
    if says_nothing(given):
        return
    for branch in branches:
        wanted = wanted_type(branch)
        shared = any(overlap(one, other) for one in members(wanted) for other in members(given))
        if wanted is not UNKNOWN and not shared:
            yield (
                f"The edge from {name_of(source)} to {destination(branch)} ({condition(branch)}) can never be taken: "
                f"{name_of(source)} gives {type_name(given)}. Correct the condition, or remove the edge."
            )


def overlap(one: object, other: object) -> bool:
    """Tell whether a value may have both types."""
    if says_nothing(one) or says_nothing(other):
        return True
    first, second = runtime_class(one), runtime_class(other)
    values, others = values_of(one), values_of(other)
    if values is not None and others is not None:
        return any(contains(others, value) for value in values)
    if values is not None:
        return second is None or any(isinstance(value, second) for value in values)
    if others is not None:
        return first is None or any(isinstance(value, first) for value in others)
    return first is None or second is None or classes_fit(first, second)


def check_coverage(branches: Branches, source: str, given: object, *, closed: bool) -> Iterator[str]:
    """Yield a fault when a value may come that no branch takes."""
    if any(takes_all(branch) for branch in branches):
        return
    if any(wanted_type(branch) is UNKNOWN for branch in branches):
        if closed:
            yield (
                f"Node {name_of(source)} has conditional edges, and a value for which none of them holds has nowhere "
                f"to go. Add wf.edge({source}, ..., otherwise=True)."
            )
        return
    if says_nothing(given):
        if closed:
            yield (
                f"Node {name_of(source)} has edges by type, and what it returns is not declared, so that a value may "
                "come that none of them takes. Annotate what it returns, or add "
                f"wf.edge({source}, ..., otherwise=True)."
            )
        return
    missing = [part for part in parts(given) if not is_taken(branches, part)]
    if missing:
        names = listed(map(type_name, missing))
        yield (
            f"Node {name_of(source)} gives {type_name(given)}, and no edge takes {names}. Add "
            f"wf.edge({source}, ..., when={type_name(missing[0])}), or an edge with otherwise=True."
        )


def parts(given: object) -> list[object]:
    """Return the alternatives of a type, with types of few values taken apart into them."""
    found: list[object] = []
    for member in members(given):
        values = values_of(member)
        found += [Literal[value] for value in values] if values and member is not NoneType else [member]
    return found


def is_taken(branches: Branches, part: object) -> bool:
    return any(covers(option, part) for branch in branches for option in members(wanted_type(branch)))
