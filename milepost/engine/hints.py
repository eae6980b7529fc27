"""Reading the type hints of functions: each annotation by itself, with the names that its author could see."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic_graph import StepContext
from pydantic_graph.join import ReducerContext
from typing_extensions import Format, TypeIs, get_annotations

from milepost.engine.spec import UNKNOWN

Names = Mapping[str, object]

RETURN = "return"


@dataclass(frozen=True, slots=True)
class Hints:
    """The annotations of one function that could be resolved.

    first: of the first parameter, whatever its name, which is `context`. returns: what it returns. known: all of them
    by name. missing: the parameters (or "return") whose annotation could not be resolved, and why.
    """

    first: object = UNKNOWN
    returns: object = UNKNOWN
    known: Mapping[str, object] = field(default_factory=dict[str, object])
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
    context: str = ""

    @property
    def input_type(self) -> object:
        """The third argument of the first parameter's `StepContext[...]`, else unknown."""
        context = strip(self.first)
        arguments = get_args(context)
        if get_origin(context) is StepContext and len(arguments) == 3 and not isinstance(arguments[2], TypeVar):
            return arguments[2]
        return UNKNOWN

    @property
    def output_type(self) -> object:
        """The type of what the function returns, unknown when it says nothing or has a variable of its own."""
        return UNKNOWN if isinstance(self.returns, TypeVar) else self.returns


def read_hints(function: Callable[..., object], names: Names | None = None) -> Hints:
    """Resolve the annotations of a function, one by one, so that an unknown name loses only its own annotation.

    names: what could be seen where the function was written, beside its globals and its closure.

    >>> def shout(ctx: "StepContext[None, Missing, str]") -> "str": ...
    >>> read_hints(shout).returns, read_hints(shout).missing
    (<class 'str'>, {'ctx': "name 'Missing' is not defined"})
    """
    plain = plain_function(function)
    annotations = get_annotations(plain, format=Format.FORWARDREF) if callable(plain) else {}
    local = dict(names or {}) | closure_names(plain)
    known: dict[str, object] = {}
    missing: dict[str, str] = {}
    for name, annotation in annotations.items():
        try:
            known[name] = resolve(annotation, getattr(plain, "__globals__", {}), local)
        except Exception as error:  # the author's own expression: whatever it raises, it is only not known
            missing[name] = str(error) or type(error).__name__
    parameters = [name for name in parameter_names(function) if name != RETURN]
    context = parameters[0] if parameters else ""
    return Hints(known.get(context, UNKNOWN), known.get(RETURN, UNKNOWN), known, missing, context)


def unresolved_hint(place: str, parameter: str, reason: str) -> str:
    """Say that an annotation could not be resolved. place: whose it is. parameter: its name, or "return"."""
    which = "return annotation" if parameter == RETURN else f"annotation of {parameter!r}"
    return (
        f"The {which} of {place} cannot be resolved: {reason.rstrip('.')}. Import or define the name at the top of its "
        "module, and not only for type checkers (`if TYPE_CHECKING:`)."
    )


def resolve(annotation: object, known: Names, local: Names) -> object:
    """Return what an annotation means: strings are evaluated, at any depth, and None stands for its type."""
    carrier = SimpleNamespace(__annotations__={"it": annotation})
    return get_type_hints(carrier, globalns=dict(known), localns=dict(local), include_extras=True)["it"]


def plain_function(function: Callable[..., object]) -> Any:
    """Return the function that carries the annotations.

    It is behind partials, decorators that keep `__wrapped__`, methods and callable objects.
    """
    current: Any = function
    while True:
        if isinstance(current, functools.partial):
            current = current.func  # pyright: ignore[reportUnknownMemberType]  (a partial of anything)
        elif inspect.ismethod(current):
            current = current.__func__
        elif hasattr(current, "__wrapped__"):
            current = current.__wrapped__
        elif inspect.isfunction(current) or inspect.isbuiltin(current) or isinstance(current, type):
            return current
        else:
            call = inspect.getattr_static(current.__class__, "__call__", None)
            return call if inspect.isfunction(call) else current


def parameter_names(function: Callable[..., object]) -> list[str]:
    """Return the names of the parameters that a caller still has to give; none when Python cannot tell."""
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def closure_names(function: object) -> dict[str, object]:
    """Return the names that a function has taken from the functions around it."""
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    found: dict[str, object] = {}
    for name, cell in zip(code.co_freevars if code else (), cells or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # a name that is not bound yet
            continue
    return found


def caller_names() -> dict[str, object]:
    """Return the local names of whoever called the function that calls this one.

    The one place beside `install` that looks at a stack frame: a function written inside a function may name types
    that only its author's frame knows, and neither its globals nor its closure have them.
    """
    frame = inspect.currentframe()
    here = frame.f_back if frame else None
    caller = here.f_back if here else None
    if caller is None or caller.f_locals is caller.f_globals:
        return {}
    return dict(caller.f_locals)


def strip(hint: object) -> object:
    """Return a type without what only decorates it: `Annotated`, and the name of a type alias."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif is_alias(alias := get_origin(hint)):
            given = dict(zip(alias.__type_params__, get_args(hint), strict=False))
            return substitute(strip(alias.__value__), given)
        elif is_alias(hint):
            hint = hint.__value__
        else:
            return hint


def is_alias(hint: object) -> TypeIs[Any]:
    """Tell whether something is a type alias of the kind that has a value of its own (`type X = ...`)."""
    return hasattr(hint, "__value__") and hasattr(hint, "__type_params__")


def substitute(hint: object, bindings: Mapping[object, object]) -> object:
    """Return a type with its variables replaced; variables without a binding stay."""
    if isinstance(hint, TypeVar):
        return bindings.get(hint, hint)
    parameters: tuple[object, ...] = getattr(hint, "__parameters__", ())
    generic: Any = hint
    if not parameters or isinstance(hint, type):
        return hint
    return generic[tuple(bindings.get(parameter, parameter) for parameter in parameters)]


def has_variables(hint: object) -> bool:
    """Tell whether a type is not settled because it has variables."""
    return isinstance(hint, TypeVar) or (bool(getattr(hint, "__parameters__", ())) and not isinstance(hint, type))


def bind(pattern: object, actual: object) -> dict[object, object]:
    """Return what the variables of `pattern` must be for it to mean `actual`, as far as they have the same form.

    >>> bind(list[T], list[int]) == {T: int}
    True
    """
    if isinstance(pattern, TypeVar):
        return {} if actual is UNKNOWN or has_variables(actual) else {pattern: actual}
    found: dict[object, object] = {}
    if get_origin(pattern) is not None and get_origin(pattern) is get_origin(actual):
        for part, given in zip(get_args(pattern), get_args(actual), strict=False):
            found |= bind(part, given)
    return found


T = TypeVar("T")
"""For the example of `bind`."""


@dataclass(frozen=True, slots=True)
class ReducerHints:
    """The types of a reducer: what it has so far, what it is given, what it returns. They may share variables.

    missing: which of them could not be resolved, and why.
    """

    current: object = UNKNOWN
    item: object = UNKNOWN
    returns: object = UNKNOWN
    missing: Mapping[str, str] = field(default_factory=dict[str, str])


def read_reducer(reducer: Callable[..., object], names: Names | None = None) -> ReducerHints:
    """Read the last two parameters of a reducer (the first of three is its context). names: as in `read_hints`."""
    hints = read_hints(reducer, names)
    parameters = parameter_names(reducer)[-2:]
    if len(parameters) != 2:
        return ReducerHints()
    current, item = (hints.known.get(name, UNKNOWN) for name in parameters)
    if get_origin(current) is ReducerContext:
        return ReducerHints()
    missing = {name: why for name, why in hints.missing.items() if name in (*parameters, RETURN)}
    return ReducerHints(current, item, hints.returns, missing)
