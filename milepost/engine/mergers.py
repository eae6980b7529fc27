"""Mergers: what a field of the state becomes when two tasks changed it side by side.

Declared on the field: `notes: Annotated[list[str], append]`. A merger gets (base, committed, mine): the field as this
task first saw it, as it is committed now, and as this task leaves it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Merger:
    """A rule for merging one field. merge: a pure function of (base, committed, mine); it may raise ValueError."""

    name: str
    merge: Callable[[Any, Any, Any], Any]


def merger(function: Callable[[Any, Any, Any], Any]) -> Merger:
    """Make a merger of a function of (base, committed, mine)."""
    return Merger(function.__name__, function)


def _append(base: Any, committed: Any, mine: Any) -> Any:
    if mine[: len(base)] != base:
        raise ValueError("a field that is merged by append may only be appended to")
    return committed + mine[len(base) :]


def _union(base: Any, committed: Any, mine: Any) -> Any:
    if hasattr(mine, "keys"):
        kept = {key: committed[key] for key in committed if key not in base or key in mine}
        return kept | {key: mine[key] for key in mine if key not in base or base[key] != mine[key]}
    return (committed | (mine - base)) - (base - mine)


def _add(base: Any, committed: Any, mine: Any) -> Any:
    return committed + (mine - base)


append = Merger("append", _append)
"""Lists, strings and tuples: what this task appended follows what is committed."""
union = Merger("union", _union)
"""Sets and dicts: what this task added or removed, on top of what is committed."""
add = Merger("add", _add)
"""Numbers: the differences add up."""
last = Merger("last", lambda base, committed, mine: mine)
"""Whoever commits last wins; the answer depends on timing, and its author says that it does not matter."""
