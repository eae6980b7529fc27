"""`milepost send`: tell a run that something has happened outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from milepost.cli.answer import user_name
from milepost.cli.inputs import read_text
from milepost.cli.options import common_options, store_option
from milepost.cli.records import check_goes_on, find_run, read_store
from milepost.cli.schemas import Schema, value_of
from milepost.cli.screen import Invocation, print_json, say
from milepost.cli.stores import require
from milepost.cli.waiting import resume_command
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from milepost.engine.engine import Engine
    from milepost.engine.stored_runs import RunSummary


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("event", metavar="EVENT")
@click.argument("value", metavar="[JSON|@FILE]", required=False)
@click.option("--key", metavar="KEY", help="What the event is about, e.g. the number of an invoice.")
@click.option("--id", "id_", metavar="ID", help="Makes the call idempotent: an event of that id is only taken once.")
@click.option("--by", metavar="NAME", help="Who says so; your user name if left out.")
@store_option
@common_options
@click.pass_obj
def send(
    asked: Invocation,
    run: str,
    event: str,
    value: str | None,
    key: str | None,
    id_: str | None,
    by: str | None,
    store: str,
) -> None:
    """Tell RUN that EVENT has happened, with what it carries.

    The task that has waited for it longest takes it. An event that nothing waits for yet is kept for later, unless the
    workflow was declared to refuse it. Where only text is waited for, the text needs no quotes.
    """
    require(store, run)
    who = by if by is not None else user_name()

    async def post(engine: Engine) -> tuple[RunSummary, bool, bool]:
        summary = await find_run(engine, run)
        check_goes_on(summary, store)
        run_id = summary.run_id
        waits = [
            one for one in await engine.waits(run_id, kind="event") if one.event == event and one.key in (None, key)
        ]
        given = _value(value, event, waits[0].schema if waits else "")
        is_new = await engine.send(run_id, event, given, key=key, id=id_, by=who)
        return summary, is_new, bool(waits)

    summary, is_new, is_awaited = read_store(store, post)
    run_id = summary.run_id
    if asked.as_json:
        told = {"run_id": run_id, "event": event, "key": key, "by": who, "is_new": is_new, "is_awaited": is_awaited}
        print_json(told)
    elif not is_new:
        say(f"An event of id {id_!r} was sent to run {run_id!r} before, so this one changes nothing.")
    elif is_awaited:
        say(f"Event {event!r} is sent to run {run_id!r}, which waits for it. If no process drives the run:")
        say(f"  {resume_command(summary, None, store)}")
    else:
        say(f"Event {event!r} is kept for run {run_id!r} until something there waits for it.")


def _value(given: str | None, event: str, schema: str) -> object:
    """Return what an event carries. Raises InputError: it is not JSON."""
    if given is None:
        return None
    text = read_text(given, "the event")
    try:
        return value_of(text, Schema.read(schema))
    except ValueError as error:
        raise InputError(f"{text!r} is not JSON ({error}), as what event {event!r} carries has to be.") from None
