"""A contract and its clauses."""

from __future__ import annotations

import re
from typing import Final

from pydantic import BaseModel, Field

HEADING_LIMIT: Final = 80
FEWEST_NUMBERED: Final = 3

_NUMBERED: Final = re.compile(
    r"^[ \t]*(?:(?:section|article|clause|§)\s*)?(\d{1,3})[.):]\s+(?=\S)", re.IGNORECASE | re.MULTILINE
)
_END: Final = re.compile(r"^[ \t]*END OF TERMS AND CONDITIONS\b.*\Z", re.MULTILINE | re.DOTALL)
_BLANK: Final = re.compile(r"\n[ \t]*\n+")


class Contract(BaseModel):
    """A text to review. title: what the report calls it."""

    title: str = Field(min_length=1)
    text: str = Field(min_length=1)


class Clause(BaseModel):
    """One clause. number: its place in the contract, from 1. label: the number that the text itself gives it, or ""."""

    number: int
    label: str
    heading: str
    text: str


def split_clauses(text: str) -> list[Clause]:
    """Return the clauses of a contract, in order; empty for a text without words.

    A text with three or more numbered paragraphs is split at those, which count only as their numbers rise by one:
    not every number at the start of a line begins a clause. Any other text is split at its blank lines.

    >>> [clause.heading for clause in split_clauses("1. Price. Ten.\\n2. Term. One year.\\n3. Law. Ours.")]
    ['Price', 'Term', 'Law']
    """
    body = _END.sub("", text.replace("\r\n", "\n"))
    starts = _numbered_starts(body)
    if len(starts) >= FEWEST_NUMBERED:
        ends = [start for start, _, _ in starts[1:]] + [len(body)]
        parts = [(label, body[begin:end]) for (_, begin, label), end in zip(starts, ends, strict=True)]
    else:
        parts = [("", paragraph) for paragraph in _BLANK.split(body)]
    worded = [(label, part) for label, part in parts if re.search(r"\w", part)]
    return [_clause(number, label, part) for number, (label, part) in enumerate(worded, 1)]


def _numbered_starts(body: str) -> list[tuple[int, int, str]]:
    """Return (where the number begins, where the words begin, the number) of every clause."""
    starts: list[tuple[int, int, str]] = []
    for match in _NUMBERED.finditer(body):
        if int(match[1]) == len(starts) + 1:
            starts.append((match.start(), match.end(), match[1]))
    return starts


def _clause(number: int, label: str, part: str) -> Clause:
    words = " ".join(part.split())
    end = words.find(". ")
    first = words[:end] if 0 <= end <= HEADING_LIMIT else words.removesuffix(".")
    heading = first if len(first) <= HEADING_LIMIT else first[: HEADING_LIMIT - 1].rsplit(" ", 1)[0] + "…"
    return Clause(number=number, label=label, heading=heading, text=words)
