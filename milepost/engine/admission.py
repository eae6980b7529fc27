"""What has to be there before a run may begin: its state, its deps, and types that can be stored."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from types import NoneType
from typing import Any, get_args, get_origin

from milepost.engine.codec import Codec
from milepost.engine.errors import InputError
from milepost.engine.workflow import Workflow

AnyWorkflow = Workflow[Any, Any, Any, Any]


def unstorable(workflow: AnyWorkflow, codec: Codec) -> Sequence[str]:
    """Return why what flows through the workflow could not be stored, one sentence per place."""
    places: list[tuple[object, str]] = [
        (workflow.input_type, "the run's input"),
        (workflow.state_type, "the state"),
        (workflow.output_type, "the run's output"),
    ]
    for spec in workflow.specs.values():
        places += [(spec.output_type, f"the output of {spec.id!r}"), (spec.input_type, f"the input of {spec.id!r}")]
    faults: list[str] = [fault for spec in workflow.specs.values() for fault in spec.unresolved]
    seen: list[object] = []
    for type_, place in places:  # what flows along an edge is the type of both its ends, and is named once
        if type_ not in seen and not is_stream(type_):
            seen.append(type_)
            fault = codec.check(type_, place)
            faults += [fault] if fault else []
    return faults


def workflows_inside(workflow: AnyWorkflow) -> list[AnyWorkflow]:
    """Return every workflow that a run of this one may have runs of inside it, each once."""
    found: list[AnyWorkflow] = []
    seen: list[object] = [workflow]
    pending: list[tuple[AnyWorkflow, int | None]] = [(workflow, None)]
    while pending:
        outer, left = pending.pop()
        for child in (spec.child for spec in outer.specs.values() if spec.child is not None):
            deeper = (child.depth if left is None else left) - 1
            if deeper < 0 or any(known is child.given for known in seen):
                continue
            inner = child.find()
            seen.append(child.given)
            if not any(known is inner for known in seen[:-1]):
                found.append(inner)
                seen.append(inner)
                pending.append((inner, deeper))
    return found


def is_stream(type_: Any) -> bool:
    """Tell whether a type is an async iterable, which is stored item by item."""
    origin = get_origin(type_) or type_
    return isinstance(origin, type) and issubclass(origin, AsyncIterable)


def is_optional(type_: object) -> bool:
    """Tell whether None is a value of a type, or the type says nothing."""
    return type_ in (None, NoneType, Any, object) or NoneType in get_args(type_)


def check_given(workflow: AnyWorkflow, deps: Any) -> None:
    """Check that deps are there when the workflow needs them. Raises InputError."""
    if deps is None and not is_optional(workflow.deps_type):
        name = getattr(workflow.deps_type, "__name__", repr(workflow.deps_type))
        raise InputError(
            f"Workflow {workflow.name or 'without a name'!r} needs deps of type {name!r}. Give them with `deps=`."
        )


def given_state(workflow: AnyWorkflow, state: Any, *, made: bool = False) -> Any:
    """Return the state to begin with: the one given, or one made from its type.

    made: the journal has the state, so None will do where the type cannot make one.
    """
    if state is not None or is_optional(workflow.state_type):
        return state
    return None if made and not workflow.state_is_default else workflow.make_state()
