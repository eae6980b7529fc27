"""`milepost runs`, `show` and `trace`: what happened, read from the store alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from milepost.cli.moments import changes_of, describe_snapshot, snapshot_lines
from milepost.cli.options import common_options, store_option
from milepost.cli.pictures import (
    Look,
    chosen_format,
    depth_option,
    draw,
    format_option,
    look_options,
    output_option,
    show_trace,
    write_picture,
)
from milepost.cli.records import describe_run, describe_trace, find_run, read_store
from milepost.cli.screen import Invocation, console, json_text, print_json, say
from milepost.cli.stores import require
from milepost.engine.stores.address import without_password

if TYPE_CHECKING:
    from rich.table import Table

    from milepost.engine.checkpoints import Snapshot
    from milepost.engine.engine import Engine
    from milepost.engine.stored_runs import RunSummary
    from milepost.engine.trace import Trace

STATUSES = ("running", "waiting", "completed", "failed", "cancelled")
STATUS_STYLES = {"running": "blue", "waiting": "yellow", "completed": "green", "failed": "bold red", "cancelled": "dim"}


@click.command()
@click.option("--status", type=click.Choice(STATUSES), help="Only runs of this status.")
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most this many, the latest ones.")
@click.option("--nested", is_flag=True, help="Also the runs inside other runs.")
@store_option
@common_options
@click.pass_obj
def runs(
    asked: Invocation, status: str | None, workflow: str | None, limit: int | None, nested: bool, store: str
) -> None:
    """List the runs of a store, the latest first."""
    require(store)
    found = read_store(store, lambda engine: engine.runs(nested=nested))
    kept = [
        summary
        for summary in sorted(found, key=lambda summary: summary.updated, reverse=True)
        if status in (None, summary.status) and workflow in (None, summary.workflow)
    ][:limit]
    if asked.as_json:
        print_json({"runs": [describe_run(summary) for summary in kept]})
    elif kept:
        console(stderr=False).print(_table(kept, nested=nested))
    else:
        say(f"No runs in {without_password(store)!r}." if not found else "No run fits.")


def _table(summaries: list[RunSummary], *, nested: bool = False) -> Table:
    """Return runs as a table. nested: say of each which run it is inside of."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("RUN", "WORKFLOW", "STATUS", "UPDATED"):
        table.add_column(heading, overflow="fold")
    table.add_column("CHECKPOINTS", justify="right")
    if nested:
        table.add_column("INSIDE", overflow="fold", style="dim")
    for summary in summaries:
        table.add_row(
            Text(summary.run_id),
            Text(f"{summary.workflow} v{summary.version}"),
            Text(summary.status, style=STATUS_STYLES[summary.status]),
            Text(f"{summary.updated:%Y-%m-%d %H:%M:%S}Z", style="dim"),
            str(summary.seq),
            *([Text(summary.parent_run or "")] if nested else []),
        )
    return table


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--at", metavar="SEQ", type=click.IntRange(min=1), help="Show it as it was at this checkpoint.")
@depth_option
@store_option
@common_options
@click.pass_obj
def show(asked: Invocation, run: str, at: int | None, depth: int | None, store: str) -> None:
    """Show what RUN did, node by node, and the runs inside it.

    At one of its checkpoints, also the state there, and what was pending.
    """
    from rich.text import Text

    if at is not None:
        _show_checkpoint(asked, store, run, at, depth)
        return
    summary, traced, children = _read(store, run, depth if asked.as_json else None)
    if asked.as_json:
        inside = [describe_run(child) for child in children]
        print_json({**describe_run(summary), "children": inside, "trace": describe_trace(traced)})
        return
    screen = console(stderr=False)
    show_trace(screen, traced, depth=depth)
    if summary.parent_run is not None:
        screen.print(Text(f"\nThis run is inside run {summary.parent_run}."))
    for line in changes_of(traced):
        screen.print(Text(line), soft_wrap=True)


def _show_checkpoint(asked: Invocation, store: str, run: str, at: int, depth: int | None) -> None:
    from rich.text import Text

    require(store, run)

    async def read(engine: Engine) -> tuple[RunSummary, Snapshot, Trace]:
        summary = await find_run(engine, run)
        then = await engine.at(summary.run_id, at)
        return summary, then, await engine.trace(summary.run_id, depth=depth if asked.as_json else None, until=at)

    summary, then, traced = read_store(store, read)
    if asked.as_json:
        print_json({**describe_run(summary), "checkpoint": describe_snapshot(then), "trace": describe_trace(traced)})
        return
    screen = console(stderr=False)
    show_trace(screen, traced, depth=depth)
    for line in (*changes_of(traced), *snapshot_lines(then)):
        screen.print(Text(line), soft_wrap=True)


@click.command()
@click.argument("run", metavar="RUN")
@format_option
@look_options
@click.option("--steps", is_flag=True, help="Draw every visit and attempt by itself, in the order they came.")
@output_option
@store_option
@common_options
@click.pass_obj
def trace(asked: Invocation, run: str, format: str | None, look: Look, output: str | None, store: str) -> None:
    """Draw what RUN did: taken edges, counts, attempts and times on the workflow, as text, a picture or a page."""
    chosen = "json" if asked.as_json and format is None else chosen_format(format, output, "text")
    summary, traced, _ = _read(store, run, look.depth if chosen == "json" else None)
    if chosen == "json":
        write_picture(json_text({**describe_run(summary), "trace": describe_trace(traced)}), output)
    else:
        write_picture(draw(traced, chosen, look), output)


def _read(store: str, run: str, depth: int | None) -> tuple[RunSummary, Trace, list[RunSummary]]:
    """Return a run, what it did, and the runs inside it.

    depth: how many levels of those are traced; None for all, as a picture needs for its totals.
    """
    require(store, run)

    async def read(engine: Engine) -> tuple[RunSummary, Trace, list[RunSummary]]:
        summary = await find_run(engine, run)
        return summary, await engine.trace(summary.run_id, depth=depth), await engine.children(summary.run_id)

    return read_store(store, read)
