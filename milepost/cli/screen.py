"""Where a command writes: data to stdout, everything for people to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA_VERSION: Final = 1


@dataclass(slots=True)
class Invocation:
    """What was asked of the whole command, known before it does anything.

    as_json: one JSON document on stdout. debug: show the traceback of an error.
    """

    as_json: bool = False
    debug: bool = False


def json_text(document: Mapping[str, object]) -> str:
    """Return one JSON document as commands print it, with the version of its form first.

    >>> print(json_text({"runs": []}))
    {
      "schema_version": 1,
      "runs": []
    }
    """
    return json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2, ensure_ascii=False)


def print_json(document: Mapping[str, object]) -> None:
    """Write one JSON document to stdout."""
    click.echo(json_text(document))


def print_value(text: str | None) -> None:
    """Write a result, given as JSON text, to stdout: a string as it is, anything else as indented JSON."""
    value: object = None if text is None else json.loads(text)
    if value is None:
        return
    click.echo(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def say(sentence: str) -> None:
    """Write one line for people to stderr."""
    click.echo(sentence, err=True)


def console(*, stderr: bool = True) -> Console:
    """Return a rich console that is plain text, without styles, when its stream is not a terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 120
    return Console(file=stream, highlight=False, soft_wrap=False, width=width)


SIDES: Final = {"- ": "red", "+ ": "green"}


def print_sides(screen: Console, lines: Iterable[str]) -> None:
    """Show lines of which some begin with a minus or a plus; on a terminal these are red and green."""
    from rich.text import Text

    for line in lines:
        screen.print(Text(line, style=SIDES.get(line.lstrip()[:2], "")), soft_wrap=True)


@contextlib.contextmanager
def prints_to_stderr() -> Generator[None]:
    """Send what user code prints to stderr, so that stdout holds nothing but the data asked for."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
