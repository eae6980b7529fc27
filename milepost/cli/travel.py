"""`milepost fork` and `milepost edit`: go on from a checkpoint of a run, or with another state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from milepost.cli.execute import Drive, check_ready, drive_run
from milepost.cli.options import common_options, durability_option, store_option
from milepost.cli.records import describe_run, find_run, read_store
from milepost.cli.screen import Invocation, print_json, prints_to_stderr, say
from milepost.cli.stores import require, with_durability
from milepost.engine.errors import InputError

if TYPE_CHECKING:
    from milepost.cli.target import AnyWorkflow
    from milepost.engine.checkpoints import PendingTask, Snapshot
    from milepost.engine.engine import Engine
    from milepost.engine.run import Run
    from milepost.engine.stored_runs import RunSummary


SHORTEST: Final = 4
"""How many characters of a task's key are needed at least: fewer might be meant as something else."""


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("target", required=False)
@click.option("--at", metavar="SEQ", type=click.IntRange(min=1), help="The checkpoint; the newest if left out.")
@click.option("--state", metavar="JSON|@FILE", help="The state to go on with, instead of the one there.")
@click.option(
    "--input",
    "inputs",
    metavar="TASK=JSON|@FILE",
    multiple=True,
    help="What a pending task gets instead; TASK is its key, its beginning, or the name of its node; again for more.",
)
@click.option("--run-id", metavar="ID", help="The id of the new run. Makes the call idempotent.")
@store_option
@durability_option
@common_options
@click.pass_obj
def fork(
    asked: Invocation,
    run: str,
    target: str | None,
    at: int | None,
    state: str | None,
    inputs: Sequence[str],
    run_id: str | None,
    store: str,
    durability: str | None,
) -> int:
    """Start a new run that goes on from a checkpoint of RUN, and print its output.

    RUN stays as it is, however it stands: 'milepost show RUN --at SEQ' tells what was pending there. TARGET may be left
    out when the workflow of the run is registered.
    """
    from milepost.cli.changes import given

    url = with_durability(store, durability)
    summary, workflow = _found(url, run, target, "fork")
    check_ready(workflow, run_id)
    begin = None if state is None else given(workflow, state, workflow.state_type, what="state")
    others = _inputs(url, summary, at, workflow, inputs) if inputs else {}

    async def start(engine: Engine, deps: Any) -> Run:
        return await engine.fork(summary.run_id, workflow, at=at, state=begin, inputs=others, run_id=run_id, deps=deps)

    return drive_run(asked, Drive(workflow, url, target, start))


def _found(url: str, run: str, target: str | None, command: str) -> tuple[RunSummary, AnyWorkflow]:
    """Return a stored run and its workflow. target: where that is, None when it is registered. command: that asks."""
    from milepost.cli.target import find_registered, find_workflow

    require(url, run)
    named = find_workflow(target) if target else None
    summary = read_store(url, lambda engine: find_run(engine, run))
    return summary, named or find_registered(summary.workflow, summary.run_id, command)


def _inputs(
    url: str, summary: RunSummary, at: int | None, workflow: AnyWorkflow, options: Sequence[str]
) -> dict[str, object]:
    """Read what pending tasks are to get, by the types that their nodes declare."""
    from milepost.cli.changes import given

    then = read_store(url, lambda engine: engine.at(summary.run_id, at or summary.seq))
    found: dict[str, object] = {}
    for text in options:
        word, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--input {text!r} names no task. Write TASK=JSON.")
        task = pending_task(then, word)
        spec = workflow.specs.get(task.node)
        found[task.key] = given(workflow, value, Any if spec is None else spec.input_type, what="input")
    return found


def pending_task(then: Snapshot, word: str) -> PendingTask:
    """Return the pending task that a word names: its key, the only one that begins so, or the only one of a node.

    Raises InputError.
    """
    named = [task for task in then.tasks if word in (task.key, task.node)]
    fitting = named or [task for task in then.tasks if len(word) >= SHORTEST and task.key.startswith(word)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"{task.node} {task.key}" for task in (fitting or then.tasks)[:5])
    reason = "fits several tasks that are" if fitting else "names no task that is"
    pending = f". Pending are: {listed}" if listed and not fitting else f": {listed}" if fitting else "; nothing is"
    raise InputError(f"{word!r} {reason} pending at checkpoint {then.seq} of run {then.run_id!r}{pending}.")


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("target", required=False)
@click.option("--state", metavar="JSON|@FILE", help="The new state as a whole.")
@click.option("--set", "fields", metavar="FIELD=JSON", multiple=True, help="A field to be changed; again for more.")
@store_option
@durability_option
@common_options
@click.pass_obj
def edit(
    asked: Invocation,
    run: str,
    target: str | None,
    state: str | None,
    fields: Sequence[str],
    store: str,
    durability: str | None,
) -> None:
    """Change the state of RUN, which nobody may be driving. What is pending begins with it when RUN is resumed.

    The change is checked against the type of the state, and is a checkpoint like any other. TARGET may be left out when
    the workflow of the run is registered.
    """
    from milepost.cli.changes import given, with_fields

    if (state is None) == (not fields):
        raise InputError(
            "Say what the state is to be: with --state JSON as a whole, or with --set FIELD=JSON by field."
        )
    url = with_durability(store, durability)
    before, workflow = _found(url, run, target, "edit")
    changes = dict(_field(text) for text in fields)
    whole = None if state is None else given(workflow, state, workflow.state_type, what="state")

    def change(current: object) -> object:
        return whole if state is not None else with_fields(workflow, current, changes)

    async def carry_out(engine: Engine) -> RunSummary:
        await engine.edit_state(before.run_id, workflow, change)
        return await engine.find(before.run_id)

    with prints_to_stderr():
        after = read_store(url, carry_out)
    if asked.as_json:
        print_json({**describe_run(after), "changed": after.seq > before.seq})
    elif after.seq > before.seq:
        say(f"The state of run {after.run_id!r} is changed, as its checkpoint {after.seq}.")
    else:
        say(f"The state of run {after.run_id!r} is so already. Nothing was changed.")


def _field(text: str) -> tuple[str, object]:
    from milepost.cli.inputs import read_text

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"--set {text!r} names no field. Write FIELD=JSON.")
    try:
        return name, json.loads(read_text(value, "--set"))
    except ValueError as error:
        raise InputError(
            f"What --set gives to {name!r} is not JSON: {error}. A text is written with its quotes: "
            f"--set '{name}=\"some text\"'."
        ) from None
