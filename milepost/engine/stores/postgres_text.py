"""Texts of any characters in PostgreSQL, which has no U+0000."""

from __future__ import annotations

from psycopg.adapt import AdaptersMap, Buffer, Dumper, Loader
from psycopg.pq import Format

_TEXT = 25
"""PostgreSQL's own number for the type `text`."""


def escaped(text: str) -> str:
    r"""Return a text without U+0000. Texts keep their order, and what one begins with, its like begins with.

    >>> escaped("a\0b\1c")
    'a\x01\x01b\x01\x02c'
    """
    if "\0" in text or "\1" in text:
        return text.replace("\1", "\1\2").replace("\0", "\1\1")
    return text


def unescaped(text: str) -> str:
    r"""Return the text that was escaped.

    >>> unescaped(escaped("a\0b\1\1\0c\2"))
    'a\x00b\x01\x01\x00c\x02'
    """
    return text.replace("\1\1", "\0").replace("\1\2", "\1") if "\1" in text else text


class _TextDumper(Dumper):
    format = Format.TEXT
    oid = _TEXT

    def dump(self, obj: str) -> Buffer:
        return escaped(obj).encode()


class _BinaryDumper(_TextDumper):
    format = Format.BINARY


class _TextLoader(Loader):
    format = Format.TEXT

    def load(self, data: Buffer) -> str:
        return unescaped(str(data, "utf-8"))


def register(adapters: AdaptersMap) -> None:
    """Have a connection escape every text that it writes, and read it back."""
    for dumper in (_TextDumper, _BinaryDumper):
        adapters.register_dumper(str, dumper)
    adapters.register_loader(_TEXT, _TextLoader)
