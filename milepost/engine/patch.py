"""Changes of the state as splices of its JSON text, so that a commit stores what changed and not what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Splice = tuple[int, int, str]
"""(start, length of what goes, what comes), in characters."""
Patch = Mapping[str, Splice | None]
"""By top-level field; None: the field is gone."""
NOTHING: Final = (0, 0, "")
"""The splice that changes nothing."""


def common_prefix(one: str, other: str) -> int:
    """Return how many leading characters two texts share; bisects, so that long texts compare at memory speed."""
    low, high = 0, min(len(one), len(other))
    if high and other.startswith(one[: high - 1]):  # as when something was added to a list
        return high if one[high - 1] == other[high - 1] else high - 1
    while low < high:
        middle = (low + high + 1) // 2
        if other.startswith(one[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix(one: str, other: str, most: int) -> int:
    """Return how many trailing characters two texts share, at most so many."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if other.endswith(one[len(one) - middle : len(one) - low], 0, len(other) - low):
            low = middle
        else:
            high = middle - 1
    return low


def splice(old: str, new: str) -> Splice:
    """Return the shortest single splice that turns `old` into `new`.

    >>> splice('["a","b"]', '["a","b","c"]')
    (8, 0, ',"c"')
    """
    start = common_prefix(old, new)
    tail = common_suffix(old, new, min(len(old), len(new)) - start)
    return start, len(old) - start - tail, new[start : len(new) - tail]


def spliced(old: str, change: Splice) -> str:
    """Return `old` after the splice.

    >>> spliced('["a","b"]', (8, 0, ',"c"'))
    '["a","b","c"]'
    """
    start, length, text = change
    return f"{old[:start]}{text}{old[start + length :]}"


def inverse(old: str, change: Splice) -> Splice:
    """Return the splice that takes back what `change` does to `old`.

    >>> inverse('["a","b"]', (8, 0, ',"c"'))
    (8, 4, '')
    """
    start, length, text = change
    return start, len(text), old[start : start + length]


def chained(text: str, first: Splice, second: Splice) -> Splice:
    """Return the one splice that does to `text` what two do in a row. Costs the length of what lies between them.

    >>> chained("abcdef", (1, 1, "B"), (4, 1, ""))
    (1, 4, 'Bcd')
    """
    start, length, put = first
    at, gone, then = second
    if not (length or put):  # what changes nothing has no place either, from which to reach to the other
        return second
    low, high = min(start, at), max(start + len(put), at + gone)
    beyond = high - start - len(put)
    between = text[low:start] + put + text[start + length : start + length + beyond]
    return low, start - low + length + beyond, between[: at - low] + then + between[at - low + gone :]


def patched(old: Mapping[str, str], patch: Patch) -> dict[str, str]:
    """Return fields after a patch.

    >>> patched({"a": "1", "b": "2"}, {"a": None, "b": (0, 1, "3"), "c": (0, 0, "4")})
    {'b': '3', 'c': '4'}
    """
    new = dict(old)
    for name, change in patch.items():
        if change is None:
            new.pop(name, None)
        else:
            new[name] = spliced(new.get(name, ""), change)
    return new


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, Splice | None]:
    """Return the patch from one set of fields to another; empty when they are equal."""
    patch: dict[str, Splice | None] = {name: None for name in old if name not in new}
    for name, text in new.items():
        before = old.get(name)
        if before is None:
            patch[name] = (0, 0, text)
        elif before != text:
            patch[name] = splice(before, text)
    return patch
