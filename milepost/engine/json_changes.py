"""What differs between two JSON texts, part by part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile
from typing import Final


class Absent(Enum):
    """Stands for a part that is not there."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | Absent | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonChange:
    """One part that differs. path: e.g. "notes[3].text", "" for the whole. one, other: JSON text, None: not there."""

    path: str
    one: str | None
    other: str | None


def json_changes(one: str | None, other: str | None) -> tuple[JsonChange, ...]:
    """Return the innermost parts that differ, in order; None for a text that is not there.

    Of two lists, what they begin and end with alike is passed over, and the rest is compared item by item; its places
    are those in the longer list. Cost: the size of both texts. Raises ValueError: one of them is not JSON.

    >>> json_changes('{"a": [1, 2, 3], "b": 1}', '{"a": [1, 5, 2, 3]}')
    (JsonChange(path='a[1]', one=None, other='5'), JsonChange(path='b', one='1', other=None))
    """
    if one == other:
        return ()
    trees: list[Json] = [ABSENT if text is None else json.loads(text) for text in (one, other)]
    return tuple(_changes("", trees[0], trees[1]))


def _changes(path: str, one: Json, other: Json) -> Iterator[JsonChange]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys((*one, *other)):
            inner = f"{path}{step_of(name)}" if path else step_of(name).removeprefix(".")
            yield from _changes(inner, one.get(name, ABSENT), other.get(name, ABSENT))
    elif isinstance(one, list) and isinstance(other, list):
        yield from _list_changes(path, one, other)
    elif not is_same(one, other):
        yield JsonChange(path=path, one=_text(one), other=_text(other))


def _list_changes(path: str, one: Sequence[Json], other: Sequence[Json]) -> Iterator[JsonChange]:
    start = _alike(one, other)
    end = _alike(one[start:][::-1], other[start:][::-1])
    left, right = one[start : len(one) - end], other[start : len(other) - end]
    for index in range(max(len(left), len(right))):
        before = left[index] if index < len(left) else ABSENT
        after = right[index] if index < len(right) else ABSENT
        yield from _changes(f"{path}[{start + index}]", before, after)


def _alike(one: Sequence[Json], other: Sequence[Json]) -> int:
    """Return how many items two lists begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: is_same(*pair), zip(one, other, strict=False)))


def is_same(one: Json, other: Json) -> bool:
    """Tell whether two JSON trees are written alike: 1, 1.0 and true are not."""
    return one is other or (one is not ABSENT and other is not ABSENT and _text(one) == _text(other))


def step_of(name: str) -> str:
    """Return a key as a part of a path.

    >>> step_of("text"), step_of("two words")
    ('.text', '["two words"]')
    """
    return f".{name}" if name.isidentifier() else f"[{json.dumps(name, ensure_ascii=False)}]"


def _text(tree: Json) -> str | None:
    return None if tree is ABSENT else json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
