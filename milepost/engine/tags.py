"""Tags: what people find runs by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from milepost.engine.errors import InputError

MOST_CHARACTERS: Final = 100


def checked_tags(tags: Sequence[object]) -> tuple[str, ...]:
    """Return the tags of a run, in the order they were given. Raises InputError, which says all that is wrong.

    >>> checked_tags(["nightly", "customer-7"])
    ('nightly', 'customer-7')
    """
    if isinstance(tags, str):
        raise InputError(f"tags={tags!r} is one text. Give several, e.g. tags=({tags!r},).")
    kept: list[str] = []
    faults: list[str] = []
    for tag in tags:
        if not isinstance(tag, str):
            faults.append(f"{tag!r} is no text")
        elif not tag.strip():
            faults.append(f"{tag!r} is empty")
        elif len(tag) > MOST_CHARACTERS:
            faults.append(f"{tag[:20]!r}… has {len(tag)} characters, and may have {MOST_CHARACTERS}")
        elif not tag.isprintable():
            faults.append(f"{tag!r} has characters that cannot be printed")
        elif tag in kept:
            faults.append(f"{tag!r} is there twice")
        else:
            kept.append(tag)
    if faults:
        raise InputError(f"These tags cannot be given to a run: {'; '.join(faults)}.")
    return tuple(kept)
