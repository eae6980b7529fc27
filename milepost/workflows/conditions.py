"""Conditions on edges: a label of a decide node, a type, a predicate, otherwise, or that the node failed."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from typing_extensions import TypeIs

from milepost.engine.assignability import members, runtime_class, type_name
from milepost.engine.failure import FailedWith
from milepost.engine.findings import listed
from milepost.engine.flow import IsInstance
from milepost.engine.hints import is_alias, strip
from milepost.engine.spec import LabelIs

LONGEST = 60
"""Characters of a condition's source that are shown on an edge."""


@dataclass(frozen=True, slots=True)
class Condition:
    """When an edge is taken, as the branch of a decision says it.

    source, matches: as in a `DecisionBranch`. text: for people. last: it is tried after all others.
    """

    source: Any
    matches: Callable[[Any], bool] | None
    text: str
    last: bool = False


def otherwise_condition() -> Condition:
    """Return the condition that always holds and is tried last."""
    return Condition(Any, None, "otherwise", last=True)


def label_condition(label: object) -> Condition:
    """Return the condition that a decide node has chosen this label."""
    return Condition(Any, LabelIs(label), str(getattr(label, "value", label)))


def is_type(when: object) -> bool:
    """Tell whether a condition is a type, so that it matches by instance."""
    plain = strip(when)
    return isinstance(plain, type) or plain is None or get_origin(plain) is not None or is_alias(when)


def type_condition(when: object) -> Condition | str:
    """Return the condition that a value is of a type, or what is wrong with that type."""
    plain = types.NoneType if strip(when) is None else strip(when)
    if get_origin(plain) is Literal:
        return Condition(plain, None, type_name(plain))
    classes: list[type] = []
    for member in members(plain):
        known = runtime_class(member)
        if known is None or get_origin(member) is Literal or not can_be_asked(get_origin(member) or member):
            return (
                f"has when={type_name(plain)}, which isinstance() cannot take, so that no value can be told to be one. "
                "Give a class, or a function of what flows."
            )
        classes.append(known)
    simple = get_origin(plain) in (None, Union, types.UnionType) and not any(map(get_origin, get_args(plain)))
    return Condition(plain, None if simple else IsInstance(tuple(classes)), type_name(plain))


def can_be_asked(known: Any) -> bool:
    try:
        isinstance(None, known)
    except TypeError:
        return False
    return True


def predicate_condition(predicate: Callable[[Any], bool]) -> Condition:
    """Return the condition that a function of the value is true."""
    return Condition(Any, predicate, predicate_text(predicate))


def predicate_text(predicate: Callable[..., object]) -> str:
    """Return a few words for a predicate: its name, or the expression of a lambda when its source can be read."""
    name: str = getattr(predicate, "__name__", type(predicate).__name__)
    if name != "<lambda>":
        return name
    text = " ".join(lambda_source(predicate).split())
    return text if 0 < len(text) <= LONGEST else "condition"


def lambda_source(function: Any) -> str:
    """Return the expression of a lambda, "" when its source is gone or has several lambdas where it begins."""
    try:
        lines, _ = inspect.findsource(function)
        source = "".join(lines)
        found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Lambda)]
    except (OSError, TypeError, SyntaxError):
        return ""
    here = [node for node in found if node.lineno == function.__code__.co_firstlineno]
    return (ast.get_source_segment(source, here[0].body) or "") if len(here) == 1 else ""


def error_condition(on_error: object) -> Condition | str:
    """Return the condition that a node failed with one of some exceptions, or what is wrong with them.

    on_error: True for any exception, a class of exceptions, or several of them as a tuple.
    """
    given = (Exception,) if on_error is True else on_error if is_tuple(on_error) else (on_error,)
    classes = [kind for kind in given if is_exception(kind)]
    if not classes or len(classes) < len(given):
        wrong = next((kind for kind in given if not is_exception(kind)), on_error)
        return (
            f"has on_error={shown(on_error)}, and no node fails with {shown(wrong)}. "
            "Give True for any exception, or subclasses of Exception."
        )
    names = listed((kind.__name__ for kind in classes), "or")
    return Condition(Any, FailedWith(tuple(classes)), "on error" if Exception in classes else names)


def is_tuple(given: object) -> TypeIs[tuple[object, ...]]:
    return isinstance(given, tuple)


def is_exception(given: object) -> TypeIs[type[Exception]]:
    return isinstance(given, type) and issubclass(given, Exception)


def shown(given: object) -> str:
    """Return something as its author may have written it: a class by its name."""
    if is_tuple(given):
        return f"({', '.join(map(shown, given))})"
    return getattr(given, "__name__", None) or repr(given)
