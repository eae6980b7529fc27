"""The types of a join: what it takes and what it gives, from its reducer, its initial value and what flows into it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from milepost.engine.assignability import members, runtime_class, says_nothing, union_of
from milepost.engine.hints import (
    Names,
    bind,
    closure_names,
    has_variables,
    read_hints,
    read_reducer,
    substitute,
    unresolved_hint,
)
from milepost.engine.spec import UNKNOWN
from milepost.engine.typed import Join

NOTHING = object()
"""No initial value is known."""


@dataclass(frozen=True, slots=True)
class CopyOf:
    """Makes the initial value of a join: a copy for every run, so that runs do not share what a reducer changes."""

    initial: object

    def __call__(self) -> Any:
        return deepcopy(self.initial)


def join_types(
    join: Join[Any, Any, Any, Any], items: object, wanted: object, names: Names | None = None
) -> tuple[object, object]:
    """Return the input and the output type of a join.

    items: the type of what flows into it. wanted: what its destinations expect. Both may be unknown. names: that can be
    seen where its reducer was written.
    """
    reducer = read_reducer(join.reducer, names)
    factory = join.initial_factory
    made = made_type(factory)
    found = bind(reducer.item, items) | bind(reducer.returns, wanted) | bind(reducer.current, made)
    found |= own_bindings(join.reducer)
    taken, given = settled(substitute(reducer.item, found)), settled(substitute(reducer.returns, found))
    if given is UNKNOWN:
        given = made if made is not UNKNOWN and (get_args(made) or wanted is UNKNOWN) else wanted
    return taken, with_initial(given, initial_value(factory))


def unresolved_hints(join: Join[Any, Any, Any, Any], names: Names | None) -> tuple[str, ...]:
    """Return a sentence for each annotation of a join's reducer that could not be resolved."""
    missing = read_reducer(join.reducer, names).missing
    return tuple(unresolved_hint(f"the reducer of join {join.id!r}", name, why) for name, why in missing.items())


def wrong_reducer(join: Join[Any, Any, Any, Any]) -> str | None:
    """Say why a join's reducer cannot be called, None when it can.

    Every one of its parameters is given, by position: the value so far and the item, and before them a context when
    there are three.
    """
    name = getattr(join.reducer, "__name__", type(join.reducer).__name__)
    begin = f"The reducer {name!r} of the join {join.id!r}"
    try:
        parameters = inspect.signature(join.reducer).parameters.values()
    except (TypeError, ValueError):
        return (
            f"{begin} does not say how many parameters it takes. Wrap it, e.g. "
            f"lambda current, item: {name}(current, item)."
        )
    if len(parameters) not in (2, 3):
        count = "1 parameter" if len(parameters) == 1 else f"{len(parameters)} parameters"
        return f"{begin} takes {count}. A reducer takes (current, item) or (ctx, current, item)."
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    for one in parameters:
        if one.kind not in plain or one.default is not inspect.Parameter.empty:
            return (
                f"{begin} has the parameter {one.name!r}, which is optional or a keyword. A reducer is called with all "
                "of its parameters, (current, item) or (ctx, current, item): wrap it in a function with no others."
            )
    return None


def settled(hint: object) -> object:
    return UNKNOWN if has_variables(hint) else hint


def own_bindings(reducer: Callable[..., object]) -> dict[object, object]:
    """Return what a reducer made from a generic class, e.g. `ReduceFirstValue[int]()`, says about its variables."""
    made_from = getattr(reducer, "__orig_class__", None)
    parameters: tuple[object, ...] = getattr(get_origin(made_from), "__parameters__", ())
    return dict(zip(parameters, get_args(made_from), strict=False))


def made_type(factory: Callable[[], object]) -> object:
    """Return the type of what an initial factory makes: a class and `list[int]` make themselves."""
    if isinstance(factory, type) or get_origin(factory) is not None:
        return factory
    if isinstance(factory, CopyOf):
        return UNKNOWN
    return read_hints(factory).output_type


def initial_value(factory: Callable[[], object]) -> object:
    """Return the initial value that a join was given instead of a factory, `NOTHING` when there is none."""
    if isinstance(factory, CopyOf):
        return factory.initial
    if getattr(factory, "__qualname__", "") == "GraphBuilder.join.<locals>.<lambda>":
        return closure_names(factory).get("initial", NOTHING)
    return NOTHING


def with_initial(given: object, initial: object) -> object:
    """Return an output type that also covers the initial value, which is the output when no item arrives."""
    if initial is NOTHING or says_nothing(given):
        return given
    classes = [runtime_class(member) for member in members(given)]
    if any(known is None or isinstance(initial, known) for known in classes):
        return given
    return union_of([given, type(initial)])
