"""What a stored run is to go on with: values as people write them or as `milepost show` shows them; single fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, get_args, get_origin

from milepost.cli.inputs import parse, parse_part, read_text
from milepost.engine.contents import with_value
from milepost.engine.definition import type_name
from milepost.engine.errors import InputError, NotStorable
from milepost.engine.fields import WHOLE, WRAPPERS, fields_of, hints_of, is_dict, key_of, peeled
from milepost.engine.union import TAG

if TYPE_CHECKING:
    from milepost.cli.target import AnyWorkflow


def given(workflow: AnyWorkflow, option: str, kind: object, *, what: str) -> object:
    """Return the value that an option gives: JSON, `@file` or `@-`. Raises WrongValue, InputError, as `parse` does."""
    text = read_text(option, f"--{what}")
    return read(workflow, text, kind, lambda: parse(text, kind, what=what))


def read(workflow: AnyWorkflow, text: str, kind: object, plainly: Callable[[], object]) -> Any:
    """Read JSON text in which the names of types may stand, as `milepost show` writes them where several are possible.

    plainly: reads it as people write it. Raises InputError: it names a type that does not belong there.
    """
    if f'"{TAG}"' not in text:
        return plainly()
    from milepost.engine.drivers import prepare
    from milepost.engine.rereading import decoded, lost_name

    codec = prepare(workflow).codec
    try:
        return decoded(codec, text, kind, "value")
    except (NotStorable, ValueError):
        value = plainly()
        lost = lost_name(json.loads(text), json.loads(codec.encode(value, kind)[0]))
        if lost is None:
            return value
        raise InputError(f"What is given names the type {lost!r}, which {type_name(kind)!r} does not know.") from None


def with_fields(workflow: AnyWorkflow, state: Any, changes: Mapping[str, object]) -> Any:
    """Return a state with other values, given as JSON, in some of its top-level fields. It may be the same object.

    Raises InputError: there is no such field, or a value does not fit it.
    """
    from milepost.engine.drivers import prepare

    kind = workflow.state_type
    text, _ = prepare(workflow).codec.encode(state, kind, "state")
    fields = fields_of(text)
    if WHOLE in fields:
        raise InputError("This state has no fields. Give it as a whole: --state JSON.")
    known = {**dict.fromkeys(map(key_of, fields), Any), **declared(kind)}
    for name, value in changes.items():
        if name not in known and not takes_any(kind, state):
            raise unknown(name, list(known))
        type_, written = known.get(name, of_others(kind)), json.dumps(value)
        plainly = partial(parse_part, written, type_, of=kind, what="state", name=name)
        state = with_value(state, name, read(workflow, written, type_, plainly))
    return state


def declared(kind: object) -> Mapping[str, object]:
    """Return the types of the fields that a type of states declares."""
    bare, _ = peeled(kind)
    bare = get_origin(bare) or bare
    if not isinstance(bare, type) or is_dict(bare) or getattr(bare, "__pydantic_root_model__", False):
        return {}
    return {name: unwrapped(hint) for name, hint in hints_of(bare).items()}


def unwrapped(hint: object) -> object:
    """Return a type without what says whether a field has to be there."""
    while get_origin(hint) in WRAPPERS:
        (hint,) = get_args(hint)
    return hint


def of_others(kind: object) -> object:
    """Return the type of fields that are not declared one by one: the values of a dict."""
    arguments = get_args(peeled(kind)[0])
    return arguments[1] if len(arguments) == 2 else Any


def takes_any(kind: object, state: object) -> bool:
    """Tell whether a state may have fields of any name."""
    bare, _ = peeled(kind)
    bare = get_origin(bare) or bare
    if isinstance(getattr(state, "root", None), dict):
        return True
    settings: Mapping[str, object] = getattr(bare, "model_config", {})
    return (isinstance(bare, type) and is_dict(bare)) or settings.get("extra") == "allow"


def unknown(name: str, known: list[str]) -> InputError:
    """Return what to raise for a field that the state does not have."""
    close = get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"It has {', '.join(map(repr, known)) or 'none'}."
    return InputError(f"The state has no field {name!r}. {hint} Nothing was changed.")
