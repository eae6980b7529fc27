"""Drawing for the commands: formats, themes, and where a picture goes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from milepost.cli.screen import say
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from milepost.engine.trace import Trace
    from milepost.visualize.palette import Theme
    from milepost.visualize.render import Format, Subject

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

FORMATS: Final = ("text", "mermaid", "dot", "svg", "png", "html", "json")
FORMAT_OF_SUFFIX: Final = {
    ".txt": "text",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".svg": "svg",
    ".png": "png",
    ".html": "html",
    ".json": "json",
}


def format_option(command: CommandT) -> CommandT:
    """Add `--format`, which the name of the file decides when it is left out."""
    return click.option(
        "--format",
        "format",
        type=click.Choice(FORMATS),
        help="How to draw it; the ending of the file decides if left out.",
    )(command)


def theme_option(command: CommandT) -> CommandT:
    """Add `--theme`."""
    return click.option(
        "--theme", type=click.Choice(["light", "dark", "auto"]), default="auto", show_default=True, help="The colours."
    )(command)


def depth_option(command: CommandT) -> CommandT:
    """Add `--depth N`."""
    return click.option(
        "--depth",
        metavar="N",
        type=click.IntRange(min=0),
        help="How many levels of workflows inside workflows to show; one if left out, when that is not too much.",
    )(command)


def output_option(command: CommandT) -> CommandT:
    """Add `-o FILE`."""
    return click.option("-o", "--output", metavar="FILE", help="Write to a file instead of stdout.")(command)


def chosen_format(given: str | None, file: str | None, fallback: str) -> str:
    """Return the format that was asked for, by name or by the ending of a file.

    Raises InputError: the ending names no format.

    >>> chosen_format(None, "out/run.svg", "text")
    'svg'
    """
    if given is not None or file is None:
        return given or fallback
    suffix = Path(file).suffix.lower()
    if suffix and suffix not in FORMAT_OF_SUFFIX:
        known = ", ".join(FORMAT_OF_SUFFIX)
        raise InputError(f"The ending {suffix!r} names no format. Use one of {known}, or say it with --format.")
    return FORMAT_OF_SUFFIX.get(suffix, fallback)


def draw(subject: Subject, form: str, *, theme: str = "auto", depth: int | None = None) -> str | bytes:
    """Draw a workflow or a trace. form, theme, depth: as the options allow them, but "json", which is no picture."""
    from milepost.visualize.render import render

    return render(subject, cast("Format", form), theme=cast("Theme", theme), depth=depth)  # click has checked both


def show_trace(screen: Console, trace: Trace, *, indent: int = 0, depth: int | None = None) -> None:
    """Show a run on a screen: in colour on a terminal, as plain text in a pipe. indent: in characters."""
    from rich.padding import Padding

    from milepost.visualize.terminal import run_view

    if screen.is_terminal:
        screen.print(Padding(run_view(trace, depth=depth), (0, 0, 0, indent)))
        return
    for line in str(draw(trace, "text", depth=depth)).splitlines():
        screen.out(" " * indent + line if line else "")


def write_picture(picture: str | bytes, output: str | None) -> None:
    """Write a picture to a file or to stdout.

    Raises InputError: the file cannot be written, or bytes would go to a terminal.
    """
    text = picture if isinstance(picture, bytes) else (picture.rstrip("\n") + "\n").encode()
    if output is not None:
        try:
            Path(output).write_bytes(text)
        except OSError as error:
            raise InputError(f"{output!r} cannot be written: {error.strerror}.") from error
        say(f"Wrote {output}")
    elif isinstance(picture, bytes) and sys.stdout.isatty():
        raise InputError("A picture in PNG is not for a terminal. Write it to a file: -o run.png")
    else:
        click.echo(text, nl=False)
