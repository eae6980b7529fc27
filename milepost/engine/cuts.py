"""Cutting the text of a state into its fields along those of the state before it, as most of them have not changed.

So a text is read again only where it is another one than before, and not as a whole in every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring as quoted

from milepost.engine.fields import WHOLE, fields_of, key_of

Part = tuple[str, str]
"""A field as it stands in the text of a state: its name with the colon, and its value."""


def cut_like(text: str, before: Mapping[str, str]) -> dict[str, str] | None:
    """Cut the text of a state that has the same fields as another one, in the same order, most of them unchanged.

    Returns the fields, unchanged ones as the very texts that they were; None where the two are not alike. JSON says
    itself where a value ends: so what begins with the text of a field holds that field, and what stands between the
    field before and the field after is a field's value if it is one value at all. Costs the size of what has changed,
    and a comparison of the rest.

    >>> cut_like('{"a":1,"b":[2,3],"c":4}', {"a": "1", "b": "[2]", "c": "4"})
    {'a': '1', 'b': '[2,3]', 'c': '4'}
    """
    if WHOLE in before or not before or not (text.startswith("{") and text.endswith("}")):
        return None
    names = list(before)
    parts = [(f"{quoted(key_of(name))}:", value) for name, value in before.items()]
    begin, first = _unchanged_from_the_beginning(text, parts)
    if first == len(parts):
        return dict(before) if begin == len(text) else None
    end, last = _unchanged_from_the_end(text, parts, begin, first)
    changed = _changed(text, begin, end, names[first : last + 1], parts[first][0])
    if changed is None:
        return None
    found = {name: before[name] for name in names[:first]} | changed
    found.update((name, before[name]) for name in names[last + 1 :])
    return found if list(found) == names else None


def _unchanged_from_the_beginning(text: str, parts: Sequence[Part]) -> tuple[int, int]:
    """Return where the first field that has changed begins, and its number, which is their count for none."""
    begin = 1
    for number, (head, value) in enumerate(parts):
        start = begin + len(head)
        end = start + len(value)
        closing = "}" if number == len(parts) - 1 else ","
        if not (text.startswith(head, begin) and text.startswith(value, start) and text.startswith(closing, end)):
            return begin, number
        begin = end + 1
    return begin, len(parts)


def _unchanged_from_the_end(text: str, parts: Sequence[Part], begin: int, first: int) -> tuple[int, int]:
    """Return where the last field that has changed ends, and its number. begin, first: of the first one."""
    end = len(text) - 1
    for number in range(len(parts) - 1, first, -1):
        head, value = parts[number]
        start = end - len(value)
        comma = start - len(head) - 1
        if comma < begin or not (text.startswith(f",{head}", comma) and text.startswith(value, start)):
            return end, number
        end = comma
    return end, first


def _changed(text: str, begin: int, end: int, names: Sequence[str], head: str) -> dict[str, str] | None:
    """Return the fields of these names that stand between two places of a text, None where something else does.

    head: how the first of them has to begin.
    """
    from pydantic_core import from_json

    try:
        if len(names) > 1:
            return fields_of(f"{{{text[begin:end]}}}")
        if not text.startswith(head, begin):
            return None
        value = text[begin + len(head) : end]
        from_json(value)
    except ValueError:
        return None
    return {names[0]: value}
