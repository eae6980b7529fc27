"""Mergers: what a field of the state becomes when two tasks changed it side by side.

Declared on the field: `notes: Annotated[list[str], append]`. A merger gets (base, committed, mine): the field as both
tasks found it, as the other has committed it, and as this task leaves it. Where the field was not there, or None, base
is an empty value of the type of mine, if there is such a thing.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from milepost.engine.errors import WorkflowError


@dataclass(frozen=True)
class Merger:
    """A rule for merging one field. merge: a pure function of (base, committed, mine); it may raise ValueError."""

    name: str
    merge: Callable[[Any, Any, Any], Any]

    def __post_init__(self) -> None:
        """Check the function, and show its docstring where someone asks for help on the merger."""
        if inspect.iscoroutinefunction(self.merge):
            raise WorkflowError(f"Merger {self.name!r} is asynchronous, and nothing can wait for it. Make it plain.")
        if not takes_three(self.merge):
            raise WorkflowError(
                f"Merger {self.name!r} cannot be called with three values. Give it the parameters "
                "(base, committed, mine): what the field was, what another task made it, and what this one would."
            )
        vars(self)["__doc__"] = getattr(self.merge, "__doc__", None) or type(self).__doc__

    def __repr__(self) -> str:
        return self.name


def takes_three(function: object) -> bool:
    """Tell whether something can be called with three values. What Python cannot tell counts as yes."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True


def merger(function: Callable[[Any, Any, Any], Any]) -> Merger:
    """Make a merger of a function of (base, committed, mine), of which it takes the name and the docstring.

    Raises WorkflowError: it does not take three values, or is asynchronous.

    >>> @merger
    ... def most(base: int, committed: int, mine: int) -> int:
    ...     return max(committed, mine)
    >>> most.merge(1, 3, 2)
    3
    """
    return Merger(getattr(function, "__name__", type(function).__name__), function)


@merger
def append(base: Any, committed: Any, mine: Any) -> Any:
    """Lists, texts, tuples and deques: what this task appended follows what is committed.

    Refused when this task changed what was there before. The order is that in which the tasks commit.
    """
    added = list(mine)[len(base) :]
    if list(mine)[: len(base)] != list(base):
        raise ValueError("a field that is merged by append may only be appended to")
    if isinstance(mine, deque):
        return copy(committed) + deque(added)
    return committed + mine[len(base) :]


@merger
def union(base: Any, committed: Any, mine: Any) -> Any:
    """Sets and dicts: what this task added, replaced or removed, on top of what is committed.

    Where two tasks gave one key of a dict different values, the one that commits last has it.
    """
    if not hasattr(mine, "keys"):
        return (committed | (mine - base)) - (base - mine)
    merged = copy(committed)
    for key in base:
        if key not in mine:
            merged.pop(key, None)
    for key, value in mine.items():
        if key not in base or base[key] != value:
            merged[key] = value
    return merged


@merger
def add(base: Any, committed: Any, mine: Any) -> Any:
    """Numbers, and whatever else has a sum and a difference: the differences add up.

    Exact for int and Decimal; with float, the order of the commits may show in the last digit.
    """
    return committed + (mine - base)


@merger
def last(base: Any, committed: Any, mine: Any) -> Any:
    """Anything: whoever commits last wins. The answer depends on timing, and its author says that it may."""
    return mine
