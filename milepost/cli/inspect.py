"""`milepost runs`, `show` and `trace`: what happened, read from the store alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from milepost.cli.ages import moment_of
from milepost.cli.moments import changes_of, describe_snapshot, snapshot_lines, state_changes
from milepost.cli.options import common_options, store_option
from milepost.cli.pictures import (
    FORMATS,
    Look,
    chosen_format,
    depth_option,
    draw,
    format_option,
    look_options,
    output_option,
    show_trace,
    up_to_now,
    write_picture,
)
from milepost.cli.records import describe_run, describe_trace, find_run, read_store
from milepost.cli.screen import Invocation, console, json_text, print_json, print_sides, say
from milepost.cli.stores import require
from milepost.cli.waiting import describe_wait, moment, next_commands, resume_command, wait_lines
from milepost.engine.errors import InputError, StoreError
from milepost.engine.stores.address import without_password
from milepost.visualize.palette import INTERRUPTED

if TYPE_CHECKING:
    from rich.table import Table

    from milepost.engine.checkpoints import Snapshot
    from milepost.engine.engine import Engine
    from milepost.engine.questions import OpenWait
    from milepost.engine.report import Report
    from milepost.engine.stored_runs import RunSummary
    from milepost.engine.trace import RunStatus, Trace

STATUSES: Final[tuple[RunStatus, ...]] = ("running", "waiting", "completed", "failed", "cancelled")
STATUS_STYLES: Final = {
    "running": "blue",
    INTERRUPTED: "bold blue",
    "waiting": "yellow",
    "completed": "green",
    "failed": "bold red",
    "cancelled": "dim",
}


@click.command()
@click.option("--status", type=click.Choice(STATUSES), help="Only runs of this status.")
@click.option("--waiting", is_flag=True, help="Only runs that wait, with what each waits for.")
@click.option("--interrupted", is_flag=True, help="Only runs under way whose process has died or was stopped.")
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option("--tag", metavar="TAG", help="Only runs that have this tag.")
@click.option("--since", metavar="WHEN", help="Only runs begun since then: 2026-11-28, 2026-11-28T09:30Z, or 2d, 12h.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most this many, the latest ones.")
@click.option("--nested", is_flag=True, help="Also the runs inside other runs.")
@store_option
@common_options
@click.pass_obj
def runs(
    asked: Invocation,
    status: RunStatus | None,
    waiting: bool,
    interrupted: bool,
    workflow: str | None,
    tag: str | None,
    since: str | None,
    limit: int | None,
    nested: bool,
    store: str,
) -> None:
    """List the runs of a store, the one that was begun last first."""
    if waiting and status not in (None, "waiting"):
        raise InputError(f"--waiting and --status {status} cannot both hold. Give one of them.")
    if interrupted and (waiting or status not in (None, "running")):
        raise InputError(
            f"--interrupted and {'--waiting' if waiting else f'--status {status}'} cannot both hold. Give one of them."
        )
    status = "waiting" if waiting else status
    begun = None if since is None else moment_of(since, datetime.now(UTC))
    require(store)

    async def look(engine: Engine) -> Listing:
        found = await engine.runs(
            status=status,
            workflow=workflow,
            tag=tag,
            since=begun,
            interrupted=interrupted,
            nested=nested,
            limit=limit,
        )
        counts = await engine.counts(workflow=workflow, tag=tag, since=begun, nested=nested)
        left = await engine.counts(workflow=workflow, tag=tag, since=begun, interrupted=True, nested=nested)
        is_filled = bool(counts or await engine.runs(nested=nested, limit=1))
        waits = {one.run_id: await _waits_of(engine, one.run_id) for one in found} if waiting else {}
        return Listing(found, counts, left.get("running", 0), is_filled, waits)

    listing = read_store(store, look)
    counts = listing.counts
    if asked.as_json:
        told = [_described(one, listing, store) for one in listing.found]
        print_json({"runs": told, "counts": {**counts}, "interrupted": listing.interrupted})
        return
    if listing.found and waiting:
        _print_waiting(listing, nested=nested)
    elif listing.found:
        console(stderr=False).print(_table(listing.found, nested=nested))
    else:
        say("No run fits." if listing.is_filled else f"No runs in {without_password(store)!r}.")
    if waiting and counts:
        say(", ".join(f"{counts[each]:,} {each}" for each in STATUSES if each in counts) + ".")


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known of the runs of a store.

    interrupted: how many of those that are running. waits: of each run that is found, what it waits for, if that is
    wanted.
    """

    found: list[RunSummary]
    counts: Mapping[RunStatus, int]
    interrupted: int
    is_filled: bool
    waits: Mapping[str, Sequence[OpenWait]]


def _described(summary: RunSummary, listing: Listing, store: str) -> Mapping[str, object]:
    waits = listing.waits.get(summary.run_id)
    told = {} if waits is None else {"waits": [describe_wait(wait, store) for wait in waits]}
    return {**describe_run(summary), **told}


def _print_waiting(listing: Listing, *, nested: bool) -> None:
    """Print the runs that wait, and under each for what."""
    from rich.text import Text

    screen, now = console(stderr=False), datetime.now(UTC)
    rows = [("RUN", "WORKFLOW", "STATUS", "UPDATED", "INSIDE" if nested else "")]
    for one in listing.found:
        tags = f"  {', '.join(one.tags)}" if one.tags else ""
        inside = (one.parent_run or "") if nested else ""
        rows.append((one.run_id, f"{one.workflow} v{one.version}", one.status, f"{moment(one.updated)}{tags}", inside))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        screen.print(Text(line, style="bold" if number else "dim"), soft_wrap=True)
        run_id = row[0] if number else ""
        for wait in wait_lines(listing.waits.get(run_id, ()), run_id, now):
            screen.print(Text(f"  {wait}"), soft_wrap=True)


async def _waits_of(engine: Engine, run_id: str) -> Sequence[OpenWait]:
    """Return what a run waits for; nothing where it cannot be read, which must not hide the other runs."""
    try:
        return await engine.waits(run_id)
    except StoreError:
        return []


def _table(summaries: list[RunSummary], *, nested: bool = False) -> Table:
    """Return runs as a table. nested: say of each which run it is inside of. Tags are shown where a run has any."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("RUN", "WORKFLOW", "STATUS", "UPDATED"):
        table.add_column(heading, overflow="fold")
    table.add_column("CHECKPOINTS", justify="right")
    if nested:
        table.add_column("INSIDE", overflow="fold", style="dim")
    is_tagged = any(summary.tags for summary in summaries)
    if is_tagged:
        table.add_column("TAGS", overflow="fold")
    for summary in summaries:
        table.add_row(
            Text(summary.run_id),
            Text(f"{summary.workflow} v{summary.version}"),
            Text(standing := INTERRUPTED if summary.interrupted else summary.status, style=STATUS_STYLES[standing]),
            Text(f"{summary.updated:%Y-%m-%d %H:%M:%S}Z", style="dim"),
            str(summary.seq),
            *([Text(summary.parent_run or "")] if nested else []),
            *([Text(", ".join(summary.tags))] if is_tagged else []),
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
    summary, traced, children, waits = _read(store, run, depth if asked.as_json else None)
    if asked.as_json:
        inside = [describe_run(child) for child in children]
        told = [describe_wait(wait, store) for wait in waits]
        print_json({**describe_run(summary), "waits": told, "children": inside, "trace": describe_trace(traced)})
        return
    screen = console(stderr=False)
    show_trace(screen, up_to_now(traced), depth=depth)
    if summary.parent_run is not None:
        screen.print(Text(f"\nThis run is inside run {summary.parent_run}."))
    for line in (*changes_of(traced), *_awaited(summary, waits, store), *_left(summary, store)):
        screen.print(Text(line), soft_wrap=True)


def _awaited(summary: RunSummary, waits: Sequence[OpenWait], store: str) -> Iterator[str]:
    """Yield what a run waits for, and the commands that have it go on."""
    if not waits:
        return
    yield ""
    yield "It waits for:"
    yield from (f"  {line}" for line in wait_lines(waits, summary.run_id, datetime.now(UTC)))
    yield "Have it go on with:"
    yield from (f"  {line}" for line in next_commands(waits, summary.run_id, store))
    yield f"  {resume_command(summary, None, store)}"


def _left(summary: RunSummary, store: str) -> Iterator[str]:
    """Yield that nobody drives a run that is under way, and the command that has it go on."""
    if summary.interrupted:
        yield ""
        yield "Its process has died or was stopped. Every node that finished is saved. Go on with:"
        yield f"  {resume_command(summary, None, store)}"


def _show_checkpoint(asked: Invocation, store: str, run: str, at: int, depth: int | None) -> None:
    from rich.text import Text

    require(store, run)

    async def read(engine: Engine) -> tuple[RunSummary, Snapshot, str | None, Trace]:
        summary = await find_run(engine, run)
        then = await engine.at(summary.run_id, at)
        before = (await engine.at(summary.run_id, at - 1)).state if at > 1 else None
        traced = await engine.trace(summary.run_id, depth=depth if asked.as_json else None, until=at)
        return summary, then, before, traced

    summary, then, before, traced = read_store(store, read)
    if asked.as_json:
        print_json({**describe_run(summary), "checkpoint": describe_snapshot(then), "trace": describe_trace(traced)})
        return
    screen = console(stderr=False)
    show_trace(screen, traced, depth=depth)
    for line in (*changes_of(traced), *snapshot_lines(then)):
        screen.print(Text(line), soft_wrap=True)
    print_sides(screen, state_changes(before, then.state))


@click.command()
@click.argument("run", metavar="RUN")
@format_option(FORMATS)
@look_options
@click.option("--steps", is_flag=True, help="Draw every visit and attempt by itself, in the order they came.")
@click.option(
    "--lanes",
    type=click.Choice(["node", "branch"]),
    default="node",
    show_default=True,
    help="Of a timeline: a lane per node, or per branch.",
)
@output_option
@store_option
@common_options
@click.pass_obj
def trace(asked: Invocation, run: str, format: str | None, look: Look, output: str | None, store: str) -> None:
    """Draw what RUN did: taken edges, counts, attempts and times on the workflow, as text, a picture or a page.

    As a timeline: what ran and what waited when; on a terminal as text, else as SVG, or with `gantt` as Mermaid.
    """
    chosen = chosen_format(format, output, "text", as_json=asked.as_json)
    if chosen == "html":
        write_picture(draw(_report(store, run), chosen, look, now=datetime.now(UTC)), output)
        return
    summary, traced, *_ = _read(store, run, look.depth if chosen == "json" else None)
    if chosen == "json":
        write_picture(json_text({**describe_run(summary), "trace": describe_trace(traced)}), output)
    else:
        _draw(traced, chosen, look, output)


def _draw(traced: Trace, chosen: str, look: Look, output: str | None) -> None:
    """Draw a run. A timeline is text on a terminal and in a file of text, and SVG everywhere else."""
    if chosen == "timeline":
        from milepost.cli.timelines import timeline_text, timeline_view

        screen = console(stderr=False)
        if output is None and screen.is_terminal:
            screen.print(timeline_view(up_to_now(traced), look))
            return
        if output is not None and output.endswith(".txt"):
            write_picture(timeline_text(up_to_now(traced), look), output)
            return
    write_picture(draw(traced, chosen, look, now=datetime.now(UTC)), output)


def _report(store: str, run: str) -> Report:
    """Return what a page tells of a run: what it did, and what it stored at every checkpoint."""
    require(store, run)

    async def read(engine: Engine) -> Report:
        return await engine.report((await find_run(engine, run)).run_id)

    return read_store(store, read)


def _read(store: str, run: str, depth: int | None) -> tuple[RunSummary, Trace, list[RunSummary], Sequence[OpenWait]]:
    """Return a run, what it did, the runs inside it, and what it waits for.

    depth: how many levels of those are traced; None for all, as a picture needs for its totals.
    """
    require(store, run)

    async def read(engine: Engine) -> tuple[RunSummary, Trace, list[RunSummary], Sequence[OpenWait]]:
        summary = await find_run(engine, run)
        run_id = summary.run_id
        waits: Sequence[OpenWait] = await _waits_of(engine, run_id) if summary.status == "waiting" else ()
        return summary, await engine.trace(run_id, depth=depth), await engine.children(run_id), waits

    return read_store(store, read)
