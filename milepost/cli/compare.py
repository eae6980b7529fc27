"""`milepost diff`: what differs between two runs, or between two checkpoints of one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from milepost.cli.options import common_options, store_option
from milepost.cli.records import find_run, read_store
from milepost.cli.screen import Invocation, print_json
from milepost.cli.stores import require
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from milepost.engine.difference import Difference, Side
    from milepost.engine.engine import Engine


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
@store_option
@common_options
@click.pass_obj
def diff(asked: Invocation, one: str, other: str | None, at: Sequence[int], depth: int | None, store: str) -> None:
    """Show what differs between two runs, or between two checkpoints of one: path, state, output and cost."""
    if len(at) > 2 or (other is None and not at) or (other is not None and len(at) == 1):
        raise InputError(
            "Name two runs, or one run and two of its checkpoints: milepost diff RUN RUN, or milepost diff RUN --at A "
            "--at B. Two runs can be compared at a checkpoint of each."
        )
    require(store, one)
    places = (at[0] if at else None, at[1] if len(at) == 2 else None)

    async def compare(engine: Engine) -> Difference:
        left = await find_run(engine, one)
        right = left if other is None else await find_run(engine, other)
        return await engine.diff(left.run_id, right.run_id, at=places, depth=depth)

    found = read_store(store, compare)
    if asked.as_json:
        print_json(describe_difference(found))
    else:
        click.echo(str(found))


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
