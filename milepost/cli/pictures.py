"""Drawing for the commands: formats, themes, and where a picture goes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from milepost.cli.screen import say
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from milepost.engine.trace import Trace
    from milepost.visualize.comparison import PaintedFormat
    from milepost.visualize.lanes import By
    from milepost.visualize.palette import Theme
    from milepost.visualize.render import Direction, Format, Subject

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

FORMATS: Final = ("text", "mermaid", "dot", "svg", "png", "html", "timeline", "gantt", "json")
DEFINITION_FORMATS: Final = ("text", "mermaid", "dot", "svg", "png", "html", "json")
"""What a workflow can be drawn as: a timeline is of a run."""
COMPARISON_FORMATS: Final = ("text", "mermaid", "dot", "svg", "png", "json")
"""What a comparison can be drawn as: a page is of one workflow, or of one run, and so is a timeline."""
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


def format_option(formats: Sequence[str]) -> Callable[[CommandT], CommandT]:
    """Add `--format`, which the name of the file decides when it is left out. formats: what there is to choose from."""
    return click.option(
        "--format",
        "format",
        type=click.Choice(formats),
        help="How to draw it; the ending of the file decides if left out.",
    )


def theme_option(command: CommandT) -> CommandT:
    """Add `--theme`."""
    return click.option(
        "--theme", type=click.Choice(["light", "dark", "auto"]), default="auto", show_default=True, help="The colours."
    )(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a picture is wanted, as the options of a command say it.

    steps: of a run, unrolled. lanes: of a timeline, one per node or per branch.
    """

    theme: str = "auto"
    direction: str = "TB"
    types: bool = False
    legend: bool | None = None
    depth: int | None = None
    only: tuple[str, ...] = ()
    collapse: tuple[str, ...] = ()
    steps: bool = False
    lanes: str = "node"

    def options(self) -> str:
        """Return the options again, as they have to be typed, but for those that say nothing."""
        words = ["--theme", self.theme] if self.theme != "auto" else []
        words += ["--direction", self.direction] if self.direction != "TB" else []
        words += ["--types"] if self.types else []
        words += [] if self.legend is None else ["--legend" if self.legend else "--no-legend"]
        words += [] if self.depth is None else ["--depth", str(self.depth)]
        words += [word for name in self.only for word in ("--only", name)]
        words += [word for name in self.collapse for word in ("--collapse", name)]
        return shlex.join(words)


PLAIN: Final = Look()


def look_options(command: CommandT) -> CommandT:
    """Add the options that every picture has, and give them to the command as one `look`."""

    @wraps(command)
    def gathered(*arguments: Any, **options: Any) -> Any:
        known = {name: options.pop(name) for name in Look.__slots__ if name in options}
        return command(*arguments, look=Look(**known), **options)

    for option in _LOOK[::-1]:
        option(gathered)
    return cast("CommandT", depth_option(theme_option(gathered)))


_LOOK: Final = (
    click.option(
        "--direction",
        type=click.Choice(["TB", "LR"], case_sensitive=False),
        default="TB",
        show_default=True,
        help="From top to bottom, or from left to right.",
    ),
    click.option("--types", is_flag=True, help="Write on each edge what flows along it."),
    click.option(
        "--legend/--no-legend",
        default=None,
        help="Explain what the colours and shapes mean; of a run it is explained if left out.",
    ),
    click.option("--only", metavar="NODE", multiple=True, help="Draw this node and no other; again for more."),
    click.option(
        "--collapse",
        metavar="NODES",
        multiple=True,
        help="Draw as one box: FIRST..LAST, or A,B,C, or a node that runs a workflow; again for more.",
    ),
)


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


def chosen_format(
    given: str | None, file: str | None, fallback: str, formats: Sequence[str] = FORMATS, *, as_json: bool = False
) -> str:
    """Return the format that was asked for, by name, by the ending of a file or by `--json`.

    formats: whose endings are offered. Raises InputError: the ending names no format, or something else than JSON is
    asked for besides `--json`.

    >>> chosen_format(None, "out/run.svg", "text")
    'svg'
    """
    if given is not None or file is None:
        chosen = given or ("json" if as_json else fallback)
    else:
        suffix = Path(file).suffix.lower()
        if suffix and suffix not in FORMAT_OF_SUFFIX:
            known = ", ".join(ending for ending, form in FORMAT_OF_SUFFIX.items() if form in formats)
            raise InputError(f"The ending {suffix!r} names no format. Use one of {known}, or say it with --format.")
        chosen = FORMAT_OF_SUFFIX.get(suffix, "json" if as_json else fallback)
    if as_json and chosen != "json":
        raise InputError(f"--json asks for JSON, and the rest of the command for {chosen!r}. Leave out one of them.")
    return chosen


def draw(subject: Subject, form: str, look: Look = PLAIN, *, now: datetime | None = None) -> str | bytes:
    """Draw a workflow or a run. form: as the option allows it, but "json", which is no picture. now: as of `render`."""
    from milepost.visualize.render import render

    return render(
        subject,
        cast("Format", form),  # click has checked this and the three below
        theme=cast("Theme", look.theme),
        direction=cast("Direction", look.direction),
        types=look.types,
        legend=look.legend,
        depth=look.depth,
        only=look.only,
        collapse=look.collapse,
        kind="steps" if look.steps else "overlay",
        lanes=cast("By", look.lanes),
        now=now,
    )


def up_to_now(trace: Trace) -> Trace:
    """Return a run as it stands now, though its newest record may be of long ago."""
    from milepost.visualize.children import as_of

    return as_of(trace, datetime.now(UTC))


def comparison_format(form: str) -> PaintedFormat:
    """Return a format that comparisons can be drawn in. Raises InputError: it is none."""
    drawn = _COMPARED.get(form)
    if drawn is None:
        raise InputError(f"A comparison cannot be drawn as {form!r}. Use one of {', '.join(_COMPARED)}.")
    return drawn


_COMPARED: Final[Mapping[str, PaintedFormat]] = {
    "text": "text",
    "mermaid": "mermaid",
    "dot": "dot",
    "svg": "svg",
    "png": "png",
}


def show_trace(screen: Console, trace: Trace, *, indent: int = 0, depth: int | None = None) -> None:
    """Show a run on a screen: in colour on a terminal, as plain text in a pipe. indent: in characters."""
    from rich.padding import Padding

    from milepost.visualize.terminal import run_view

    if screen.is_terminal:
        screen.print(Padding(run_view(trace, depth=depth), (0, 0, 0, indent)))
        return
    for line in str(draw(trace, "text", Look(depth=depth))).splitlines():
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
