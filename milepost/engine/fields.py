"""The text of a state, cut into its top-level fields: what is patched, compared and merged one by one.

A field that is not there has the empty text, which no JSON value has.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, NewType, NotRequired, Required, Union, cast, get_args, get_origin

from typing_extensions import Format, ReadOnly, get_annotations, is_typeddict

from milepost.engine.hints import is_alias, resolve
from milepost.engine.mergers import Merger

WHOLE: Final = ""
"""The name of the only field of a state that is not cut into fields."""
ENDING: Final = "~"
"""What is put behind a key of a dict that is made of nothing else, so that no key is taken for WHOLE."""
WRAPPERS: Final = frozenset({NotRequired, Required, ReadOnly, ClassVar})


@dataclass(frozen=True, slots=True)
class Shape:
    """How the states of one type are kept.

    whole: as one text. mergers: by field. of_others: of every other field, as the values of a dict may have.
    """

    whole: bool = False
    mergers: Mapping[str, Merger] = field(default_factory=dict[str, Merger])
    of_others: Merger | None = None

    def merger(self, name: str) -> Merger | None:
        """Return the declared merger of a field."""
        return self.mergers.get(name, self.of_others)


def shape_of(type_: Any) -> Shape:
    """Read from a state's type how it is kept.

    >>> from milepost.engine.mergers import append
    >>> shape_of(Annotated[list[str], append]).merger(WHOLE).name
    'append'
    """
    try:
        return _known_shape(type_)
    except TypeError:  # unhashable, like Annotated[int, []]
        return _shape_of(type_)


def _shape_of(type_: Any) -> Shape:
    bare, declared = peeled(type_)
    if declared is not None:
        return Shape(whole=True, mergers={WHOLE: declared})
    kind: Any = get_origin(bare) or bare
    if not has_fields(kind):
        return Shape(whole=True)
    if is_dict(kind):
        arguments = get_args(bare)
        return Shape(of_others=peeled(arguments[1])[1] if len(arguments) == 2 and arguments[0] is str else None)
    mergers = {name: found for name, hint in hints_of(kind).items() if (found := peeled(hint)[1]) is not None}
    if getattr(kind, "__pydantic_root_model__", False):
        return Shape(whole=True, mergers={WHOLE: mergers["root"]}) if mergers else Shape()
    return Shape(mergers=mergers)


_known_shape = lru_cache(maxsize=100)(_shape_of)


def mergers_of(type_: Any) -> Mapping[str, Merger]:
    """Return the declared mergers of a state's fields."""
    return shape_of(type_).mergers


def peeled(hint: Any) -> tuple[Any, Merger | None]:
    """Return a type without what decorates it, `| None` included, and the merger among that."""
    found: Merger | None = None
    while True:
        origin = get_origin(hint)
        if origin is Annotated:
            found = found or next((note for note in hint.__metadata__ if isinstance(note, Merger)), None)
            hint = get_args(hint)[0]
        elif origin in WRAPPERS:
            hint = get_args(hint)[0]
        elif is_alias(hint) or is_alias(origin):
            hint = (hint if is_alias(hint) else origin).__value__
        elif isinstance(hint, NewType):
            hint = hint.__supertype__
        elif (
            origin in (Union, UnionType) and len(members := [one for one in get_args(hint) if one is not NoneType]) == 1
        ):
            hint = members[0]
        else:
            return hint, found


def has_fields(kind: object) -> bool:
    """Tell whether states of a type are cut into fields: not where the order of keys counts, and no union."""
    return isinstance(kind, type) and kind is not UnionType and not issubclass(kind, OrderedDict)


def is_dict(kind: type) -> bool:
    """Tell whether the keys of a dict are the fields, which are not declared one by one."""
    return issubclass(kind, dict) and not is_typeddict(cast("object", kind))


def hints_of(kind: type) -> dict[str, Any]:
    """Return the declared types of a class's fields: as pydantic has read them, or each annotation by itself.

    One that names what cannot be found is left out, so that it does not cost the others their merger.
    """
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        known = vars(sys.modules[base.__module__]) if base.__module__ in sys.modules else {}
        for name, annotation in get_annotations(base, format=Format.FORWARDREF).items():
            try:
                found[name] = resolve(annotation, known, vars(base))
            except Exception:  # the author's own expression: whatever it raises
                continue
    read: Mapping[str, Any] = vars(kind).get("__pydantic_fields__", {})
    for name, info in read.items():
        found[name] = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return found


# --- texts -----------------------------------------------------------------------------------------------------------


def fields_of(text: str, *, whole: bool = False) -> dict[str, str]:
    """Cut the JSON text of a state into the texts of its top-level fields.

    >>> fields_of('{"a":1,"b":[2]}')
    {'a': '1', 'b': '[2]'}
    >>> fields_of("[1,2]")
    {'': '[1,2]'}
    """
    from pydantic_core import from_json, to_json

    given: Any = None if whole else from_json(text)
    if not isinstance(given, dict):
        return {WHOLE: text}
    members = cast("dict[str, Any]", given)
    return {
        (name if name.strip(ENDING) else name + ENDING): to_json(value, inf_nan_mode="constants").decode()
        for name, value in members.items()
    }


def whole_of(fields: Mapping[str, str]) -> str:
    """Put the texts of fields together again.

    >>> whole_of(fields_of('{"":1}'))
    '{"":1}'
    """
    from pydantic_core import to_json

    if WHOLE in fields:
        return fields[WHOLE]
    return "{" + ",".join(f"{to_json(key_of(name)).decode()}:{text}" for name, text in fields.items()) + "}"


def key_of(name: str) -> str:
    """Return the key of the dict, or the name of the attribute, that a field stands for."""
    return name if name.strip(ENDING) else name.removesuffix(ENDING)


def digest_of(fields: Mapping[str, str]) -> str:
    """Return a hash of a state's fields: 32 hexadecimal digits."""
    return blake2b(whole_of(fields).encode(), digest_size=16).hexdigest()


def excerpt(text: str, start: int = 0, most: int = 60) -> str:
    """Return the text of a field for people, shortened to what stands around `start`.

    >>> excerpt('["' + "a" * 100 + 'b"]', 100, 20)
    '…aaaaaaaab"]'
    """
    if not text:
        return "not there"
    begin = 0 if len(text) <= most else max(0, start - most // 3)
    shown = text[begin : begin + most]
    return f"{'…' if begin else ''}{shown}{'…' if begin + most < len(text) else ''}"
