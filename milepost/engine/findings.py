"""What an examination of a graph found, and how its sentences name things."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

NAMES = {"__start__": "the start", "__end__": "the end"}


@dataclass(frozen=True, slots=True)
class Findings:
    """Whole sentences. faults: what cannot work. warnings: what is allowed and doubtful."""

    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def name_of(node_id: str) -> str:
    """Name a node inside a sentence.

    >>> name_of("score"), name_of("__end__")
    ("'score'", 'the end')
    """
    return NAMES.get(node_id, repr(node_id))


def sentence(text: str) -> str:
    """Return a text as a sentence, beginning with a capital letter."""
    return text[:1].upper() + text[1:]


def listed(names: Iterable[str], joint: str = "and") -> str:
    """Return names as a list for people.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = names
    return f"{', '.join(most)} {joint} {last}" if most else last


def did_you_mean(wrong: object, known: Iterable[object]) -> str:
    """Return a question that offers what was probably meant, "" when nothing is close.

    >>> did_you_mean("hgih", ["high", "normal"])
    " Did you mean 'high'?"
    """
    texts = {str(getattr(value, "value", value)): value for value in known}
    close = get_close_matches(str(getattr(wrong, "value", wrong)), texts, n=1)
    return f" Did you mean {texts[close[0]]!r}?" if close else ""
