"""What rows have to fit that a store in SQL looks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import LiteralString

Value = str | int | float
"""What is bound to a statement."""


@dataclass(slots=True)
class Terms:
    """Terms of a WHERE clause, and what is to be bound to them, in order."""

    texts: list[LiteralString] = field(default_factory=list[LiteralString])
    values: list[Value] = field(default_factory=list[Value])

    def add(self, text: LiteralString, *values: Value | None) -> None:
        """Add a term, unless what is to be bound to it is None."""
        given = [value for value in values if value is not None]
        if len(given) == len(values):
            self.texts.append(text)
            self.values += given

    def where(self) -> LiteralString:
        """Return the clause, with a space behind it; empty for no terms."""
        return f"WHERE {' AND '.join(self.texts)} " if self.texts else ""
