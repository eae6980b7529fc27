"""`milepost cancel`: end a run for good, whichever process drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from milepost.cli.options import common_options, store_option
from milepost.cli.records import describe_run, find_run, read_store
from milepost.cli.screen import Invocation, print_json, say
from milepost.cli.stores import require
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from milepost.engine.engine import Engine
    from milepost.engine.stored_runs import RunSummary


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--patience",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="How long to wait for the process that drives it.",
)
@store_option
@common_options
@click.pass_obj
def cancel(asked: Invocation, run: str, patience: float, store: str) -> None:
    """End RUN for good. What is committed stays, and can be looked at and drawn.

    If another process drives the run, that process is asked to end it.
    """
    require(store, run)

    async def end(engine: Engine) -> RunSummary:
        found = await find_run(engine, run)
        await engine.cancel(found.run_id, patience=patience)
        return await engine.find(found.run_id)

    summary = read_store(store, end)
    if summary.status != "cancelled":
        raise InputError(f"Run {summary.run_id!r} is {summary.status}, so there is nothing left to cancel.")
    if asked.as_json:
        print_json(describe_run(summary))
    else:
        say(f"Run {summary.run_id!r} is cancelled. What is committed stays.")
