"""`milepost diff`: what differs between two runs, or between two checkpoints of one, in words and as a picture."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

import click

from milepost.cli.options import common_options, store_option
from milepost.cli.pictures import (
    COMPARISON_FORMATS,
    chosen_format,
    comparison_format,
    format_option,
    output_option,
    theme_option,
    write_picture,
)
from milepost.cli.records import find_run, read_store
from milepost.cli.screen import Invocation, console, json_text, print_sides
from milepost.cli.stores import require
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from milepost.engine.difference import Difference, Side
    from milepost.engine.engine import Engine
    from milepost.engine.trace import Trace
    from milepost.visualize.palette import Theme


@click.command()
@click.argument("one", metavar="RUN")
@click.argument("other", metavar="[RUN]", required=False)
@click.option(
    "--at",
    metavar="SEQ",
    type=click.IntRange(min=1),
    multiple=True,
    help="A checkpoint: twice for two of one run, or for one of each; the newest if left out.",
)
@click.option(
    "--depth", metavar="N", type=click.IntRange(min=0), help="How many levels of runs inside them to compare."
)
@format_option(COMPARISON_FORMATS)
@theme_option
@output_option
@store_option
@common_options
@click.pass_obj
def diff(
    asked: Invocation,
    one: str,
    other: str | None,
    at: Sequence[int],
    depth: int | None,
    format: str | None,
    theme: str,
    output: str | None,
    store: str,
) -> None:
    """Show what differs between two runs, or between two checkpoints of one: path, state, output and cost.

    As text with a table of the nodes, or as a picture of both runs in one.
    """
    if len(at) > 2 or (other is None and not at) or (other is not None and len(at) == 1):
        raise InputError(
            "Name two runs, or one run and two of its checkpoints: milepost diff RUN RUN, or milepost diff RUN --at A "
            "--at B. Two runs can be compared at a checkpoint of each."
        )
    chosen = chosen_format(format, output, "text", COMPARISON_FORMATS, as_json=asked.as_json)
    require(store, one)
    places = (at[0] if at else None, at[1] if len(at) == 2 else None)

    async def compare(engine: Engine) -> tuple[Difference, list[Trace]]:
        left = await find_run(engine, one)
        right = left if other is None else await find_run(engine, other)
        found = await engine.diff(left.run_id, right.run_id, at=places, depth=depth)
        if chosen == "json":
            return found, []
        sides = (found.one, found.other)
        return found, [await engine.trace(side.run_id, depth=0, until=side.seq) for side in sides]

    found, traces = read_store(store, compare)
    if chosen == "json":
        write_picture(json_text(describe_difference(found)), output)
    elif chosen == "text" and output is None and console(stderr=False).is_terminal:
        _show(found, *traces)
    elif chosen == "text":
        write_picture(_text(found, *traces), output)
    else:
        from milepost.visualize.comparison import render_difference

        before, after = traces
        form = comparison_format(chosen)
        drawn = render_difference(before, after, found, form, theme=cast("Theme", theme))  # as click has checked
        write_picture(drawn, output)


def _text(found: Difference, one: Trace, other: Trace) -> str:
    """Return the difference in words, and below it the nodes of both runs, unless nothing differs."""
    from milepost.visualize.comparison import render_difference

    return str(found) if found.is_empty else f"{found}\n\n{render_difference(one, other, found, 'text')!s}"


def _show(found: Difference, one: Trace, other: Trace) -> None:
    """Show the same on a terminal, in colour."""
    from milepost.visualize.parting import parted
    from milepost.visualize.terminal import flow_view

    screen = console(stderr=False)
    print_sides(screen, str(found).split("\n"))
    if not found.is_empty:
        screen.print()
        screen.print(flow_view(parted(one, other, found)))


def describe_difference(found: Difference) -> Mapping[str, object]:
    """Return a difference as JSON shows it. children: flat, so that no depth is too deep for JSON."""
    return {**_told(found), "children": list(_children(found))}


def _children(found: Difference) -> Iterator[Mapping[str, object]]:
    """Yield what differs between the runs inside, each after the runs around it."""
    pending = deque([found])
    while pending:
        around = pending.popleft()
        for task, child in around.children.items():
            pending.append(child)
            yield {"parent_task": task, "parent_runs": [around.one.run_id, around.other.run_id], **_told(child)}


def _told(found: Difference) -> Mapping[str, object]:
    return {
        "one": _side(found.one),
        "other": _side(found.other),
        "same": found.is_empty,
        "shared": found.shared,
        "parted": None if found.parted is None else asdict(found.parted),
        "only_one": [asdict(visit) for visit in found.only_one],
        "only_other": [asdict(visit) for visit in found.only_other],
        "outcomes": [asdict(outcome) for outcome in found.outcomes],
        "choices": [asdict(choice) for choice in found.choices],
        "state": [asdict(change) for change in found.state],
        "output": [asdict(change) for change in found.output],
    }


def _side(side: Side) -> Mapping[str, object]:
    edits = [{**asdict(edit), "at": edit.at.isoformat(timespec="milliseconds")} for edit in side.edits]
    return {**asdict(side), "edits": edits}
