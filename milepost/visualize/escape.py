"""Text that people wrote, made safe for each format it is put into.

Every rule here was found by feeding nasty labels to the real programs (Mermaid 10.9 to 11.17, Graphviz 2.43 to 14);
the tests do it again. Ids never hold a person's text: Mermaid breaks on `end`, `graph` or `__proto__` in an id,
whatever the quoting.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_LINE = 80
"""Characters of one line of a label; the whole text is in the tooltip."""

MAX_LINES = 3

_SLUG = re.compile(r"[^A-Za-z0-9_]+")
_NUMBER = re.compile(r"\s*\d+")
_MATHS_OR_ICON = re.compile(r"(\$(?=\$)|fa[a-z]*:(?=fa-))")
_SPACE = re.compile(r"[\t\v\f\x1c-\x1f\x85\u2028\u2029]")
_TURNS = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_ASCII_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,")


def clean(text: str) -> str:
    """Drop what no format can hold or show, and end lines with `\\n`.

    That is: control characters, halves of surrogate pairs, non-characters, and the signs that turn the direction of all
    text after them.

    >>> clean("a\\x1b[31mb\\r\\nc\\td")
    'a[31mb\\nc d'
    """
    text = _SPACE.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(ch for ch in text if ch == "\n" or (_is_kept(ch) and not _is_noncharacter(ch)))


def _is_kept(ch: str) -> bool:
    return unicodedata.category(ch) not in ("Cc", "Cs") and not _TURNS.match(ch)


def _is_noncharacter(ch: str) -> bool:
    code = ord(ch)
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def shorten(text: str, limit: int = MAX_LINE, lines: int = MAX_LINES) -> str:
    """Cut a label to `lines` lines of `limit` characters, with an ellipsis where something is missing."""
    rows = [row.rstrip() for row in clean(text).strip("\n").split("\n")]
    kept = [row if len(row) <= limit else row[: limit - 1] + "…" for row in rows[:lines]]
    if len(rows) > lines:
        kept[-1] = kept[-1][: limit - 1].rstrip("…") + "…"
    return "\n".join(kept)


def one_line(text: str, limit: int = MAX_LINE) -> str:
    """Return the text in one line of at most `limit` characters."""
    return shorten(" ".join(clean(text).split()), limit, 1)


def flat(lines: str) -> str:
    """Put the lines of a label behind one another.

    >>> flat("2 of 3 done\\nTimeoutError: gateway")
    '2 of 3 done · TimeoutError: gateway'
    """
    return " · ".join(lines.split("\n"))


def slugs(ids: Iterable[str], prefix: str = "n_") -> dict[str, str]:
    """Give every id a name of letters, digits and underscores, all different.

    >>> slugs(["a b", "a-b", "__proto__"])
    {'a b': 'n_a_b', 'a-b': 'n_a_b_2', '__proto__': 'n_proto'}
    """
    names: dict[str, str] = {}
    used: set[str] = set()
    for id_ in ids:
        stem = prefix + (_SLUG.sub("_", id_).strip("_")[:40].rstrip("_") or "node")
        name, number = stem, 1
        while name.lower() in used:
            number += 1
            name = f"{stem}_{number}"
        used.add(name.lower())
        names[id_] = name
    return names


def mermaid_text(text: str) -> str:
    """Escape a label for Mermaid, to be put between double quotes.

    Everything but letters, digits, spaces and text outside ASCII becomes a character code, for Mermaid reads Markdown,
    HTML, maths and icons inside quotes; a digit with a dot at the head of a line would start a list. It looks for maths
    and icons again once the codes are decoded, so these get a space without width.
    """
    text = _MATHS_OR_ICON.sub("\\1\u200b", text)
    out: list[str] = []
    for index, ch in enumerate(text):
        if ch == "\n":
            out.append("<br/>")
        elif ch == "_":
            inner = 0 < index < len(text) - 1 and text[index - 1].isalnum() and text[index + 1].isalnum()
            out.append("_" if inner else "#95;")
        elif ch == "." and _NUMBER.fullmatch(text[:index].rsplit("\n", 1)[-1]):
            out.append("#46;")
        elif ch in _ASCII_SAFE or ord(ch) > 127:
            out.append(ch)
        else:
            out.append(f"#{ord(ch)};")
    return "".join(out) or "#8203;"


def mermaid_prose(text: str) -> str:
    """Return one line for a statement without quotes (accTitle, accDescr): the signs of the grammar become spaces."""
    return " ".join(re.sub(r"[#;{}<>%\"`\\]", " ", clean(text)).split()) or "workflow"


def dot_string(text: str) -> str:
    """Return a quoted Graphviz string. Graphviz expands `\\N` and decodes entities even there."""
    text = clean(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("&", "&amp;")
    return f'"{text}"'


def dot_html(text: str) -> str:
    """Escape one line for a Graphviz HTML-like label.

    Such a label must not be empty and expands `\\N`, too; a `]` before a tag is a syntax error.
    """
    text = clean(text).replace("\n", " ").replace("\\", "\\\\")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return text.replace("]", "&#93;") or " "


def markup(text: str) -> str:
    """Escape text for HTML and XML, in elements and in quoted attributes."""
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#39;")
