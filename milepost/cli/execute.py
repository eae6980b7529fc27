"""`milepost run` and `milepost resume`: carry out a workflow in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

import click

from milepost.cli.exits import Exit, Interrupted
from milepost.cli.options import common_options, durability_option, store_option
from milepost.cli.progress import shown
from milepost.cli.records import describe_run, find_run, read_store
from milepost.cli.screen import Invocation, print_json, print_value, prints_to_stderr, say
from milepost.cli.signals import stopping
from milepost.cli.stores import prepare, require, with_durability
from milepost.cli.waiting import command, describe_wait, headline, moment, next_commands, wait_lines
from milepost.engine.errors import InputError, StoreError
from milepost.engine.tags import checked_tags

if TYPE_CHECKING:
    from milepost.cli.target import AnyWorkflow
    from milepost.engine.engine import Engine
    from milepost.engine.questions import OpenWait
    from milepost.engine.run import Run
    from milepost.engine.settlement import Settlement
    from milepost.engine.stored_runs import RunSummary


EXIT_OF_STATUS: Final[Mapping[str, Exit]] = {
    "completed": Exit.DONE,
    "failed": Exit.FAILED,
    "cancelled": Exit.FAILED,
    "waiting": Exit.WAITING,
    "running": Exit.BUSY,
}


SOON: Final = 10.0
"""Seconds: a time that comes so soon is waited for, where a run waits for nothing else."""


@dataclass(slots=True)
class Drive:
    """One drive of one run, from opening the store to the last checkpoint.

    open_run: starts or resumes the run. target: what the user would write to resume it, None when it is registered.
    stays: also while the run waits for somebody or something outside. run_id: known once the run is opened.
    """

    workflow: AnyWorkflow
    store: str
    target: str | None
    open_run: Callable[[Engine, Any], Awaitable[Run]]
    stays: bool = False
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stand:
    """How a run stands in the store when it is not driven any more. error: what made it fail. waits: for what."""

    summary: RunSummary
    error: Exception | None
    waits: Sequence[OpenWait]


def wait_option(function: Callable[..., int]) -> Callable[..., int]:
    """Add `--wait`."""
    return click.option(
        "--wait", is_flag=True, help="Stay while the run waits for answers, events or a time, until it is over."
    )(function)


@click.command()
@click.argument("target")
@click.option(
    "--input", "inputs", metavar="JSON|@FILE", envvar="MILEPOST_RUN_INPUT", help="The input of the run; @- reads stdin."
)
@click.option("--state", metavar="JSON|@FILE", help="The state to begin with.")
@click.option("--run-id", metavar="ID", help="Makes the call idempotent: a run of that id is gone on with.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="What the run can be found by; again for more.")
@wait_option
@store_option
@durability_option
@common_options
@click.pass_obj
def run(
    asked: Invocation,
    target: str,
    inputs: str | None,
    state: str | None,
    run_id: str | None,
    tags: Sequence[str],
    wait: bool,
    store: str,
    durability: str | None,
) -> int:
    """Run the workflow TARGET and print its output.

    With a --run-id that the store knows, a run that was stopped or failed goes on, and one that is done only prints its
    recorded output. When the run waits for somebody or something outside, this ends with exit code 3 and says for what.
    """
    from milepost.cli.inputs import parse
    from milepost.cli.target import find_workflow

    workflow = find_workflow(target)
    value = parse(inputs, workflow.input_type, what="input")
    begin = _initial_state(workflow, state)
    check_ready(workflow, run_id)
    checked_tags(tags)
    url = with_durability(store, durability)
    prepare(url)

    async def start(engine: Engine, deps: Any) -> Run:
        return await engine.start(workflow, inputs=value, state=begin, deps=deps, run_id=run_id, tags=tags)

    return drive_run(asked, Drive(workflow, url, target, start, wait))


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("target", required=False)
@click.option(
    "--settle",
    metavar="TASK=again|JSON",
    multiple=True,
    help="What became of a task that may run at most once and had begun: run it again, or its output; again for more.",
)
@click.option("--reopen", is_flag=True, help="Go on with a run that was cancelled, too.")
@wait_option
@store_option
@durability_option
@common_options
@click.pass_obj
def resume(
    asked: Invocation,
    run: str,
    target: str | None,
    settle: Sequence[str],
    reopen: bool,
    wait: bool,
    store: str,
    durability: str | None,
) -> int:
    """Go on with RUN from its last checkpoint and print its output.

    TARGET may be left out when the workflow of the run is registered. A run that is done only prints its recorded
    output, for which nothing of its code is needed.
    """
    from milepost.cli.target import find_registered, find_workflow

    url = with_durability(store, durability)
    require(url, run)
    named = find_workflow(target) if target else None
    summary = read_store(url, lambda engine: find_run(engine, run))
    if named is None and summary.status == "completed":
        _tell(asked, summary, (), url)
        return Exit.DONE
    workflow = named or find_registered(summary.workflow, summary.run_id)
    check_ready(workflow, None)

    settled = _settlements(url, summary.run_id, workflow, settle) if settle else {}

    async def go_on(engine: Engine, deps: Any) -> Run:
        return await engine.resume(summary.run_id, workflow, deps=deps, settle=settled, reopen=reopen)

    return drive_run(asked, Drive(workflow, url, target, go_on, wait, summary.run_id))


def _settlements(url: str, run_id: str, workflow: AnyWorkflow, given: Sequence[str]) -> dict[str, Settlement]:
    """Read what became of tasks, as it is written on the command line, by the types that their nodes declare."""
    from milepost.cli.inputs import parse
    from milepost.engine.settlement import Again, Done

    trace = read_store(url, lambda engine: engine.trace(run_id, depth=0))
    nodes = {task.key: task.node for task in trace.tasks}
    settled: dict[str, Settlement] = {}
    for text in given:
        task, equals, became = text.partition("=")
        if not equals or task not in nodes:
            raise InputError(
                f"--settle {text!r} names no task of run {run_id!r}. Write TASK=again, or TASK= and its output as "
                "JSON; resuming without --settle lists the tasks."
            )
        spec = workflow.specs.get(nodes[task])
        kind = Any if spec is None else spec.output_type
        settled[task] = Again() if became == "again" else Done(parse(became, kind, what=f"output of {nodes[task]!r}"))
    return settled


def _initial_state(workflow: AnyWorkflow, given: str | None) -> object:
    from milepost.cli.inputs import parse

    if given is None and workflow.state_is_default:
        return None
    return parse(given, workflow.state_type, what="state")


def check_ready(workflow: AnyWorkflow, run_id: str | None) -> None:
    """Find out what would keep the run from starting, before anything is opened."""
    if workflow.deps_type not in (None, NoneType, object, Any) and workflow.deps_factory is None:
        from milepost.engine.definition import type_name

        raise InputError(
            f"Workflow {workflow.name!r} needs deps of type {type_name(workflow.deps_type)!r}, and nothing makes them "
            "on the command line. Declare WorkflowBuilder(deps=factory), an async context manager that yields them."
        )
    if run_id is not None and (not run_id or run_id.startswith("@") or run_id != run_id.strip()):
        raise InputError(
            f"{run_id!r} cannot be a run id: it must not be empty, begin with '@' or have spaces around it."
        )


def drive_run(asked: Invocation, drive: Drive) -> int:
    """Drive a run, print what it came to, and return the exit code of that."""
    import anyio

    try:
        with prints_to_stderr():
            stand = anyio.run(_carry_out, drive)
    except KeyboardInterrupt:
        raise Interrupted(_saved(drive)) from None
    summary = stand.summary
    if isinstance(stand.error, Interrupted):
        raise stand.error
    _tell(asked, summary, stand.waits, drive.store)
    if stand.error is not None or summary.status == "failed":
        say(str(stand.error or summary.error))
        say(f"Go on with it, after correcting the cause: {_resume_line(drive)}")
    elif summary.status == "waiting":
        _say_what_is_next(drive, summary.run_id, stand.waits)
    return EXIT_OF_STATUS[summary.status]


def _tell(asked: Invocation, summary: RunSummary, waits: Sequence[OpenWait], store: str) -> None:
    """Print what a run came to: its output, or with --json all that is known of it."""
    if asked.as_json:
        print_json({**describe_run(summary), "waits": [describe_wait(wait, store) for wait in waits]})
    elif summary.status == "completed":
        print_value(summary.output)


def _say_what_is_next(drive: Drive, run_id: str, waits: Sequence[OpenWait]) -> None:
    """Say what a run waits for that nobody drives any more, and how it goes on."""
    _say_waits(run_id, waits)
    said = list(next_commands(waits, run_id, drive.store))
    due = min((wait.until for wait in waits if wait.until is not None), default=None)
    if said:
        say("Everything is saved. Have it go on with:")
    elif due is not None:
        say(f"Everything is saved. From {moment(due)} on it can be resumed; with --wait this stays until then:")
    else:
        say("Everything is saved. Go on with it later:")
    for line in (*said, _resume_line(drive)):
        say(f"  {line}")


def _say_waits(run_id: str, waits: Sequence[OpenWait]) -> None:
    say(headline(waits, run_id))
    for line in wait_lines(waits, run_id, datetime.now(UTC)):
        say(f"  {line}")


async def _carry_out(drive: Drive) -> Stand:
    """Drive the run as far as it goes. Returns how it stands in the store, and what made it fail."""
    from milepost.engine.engine import Engine

    async with _made_deps(drive.workflow) as deps, Engine(drive.store) as engine:
        run = await drive.open_run(engine, deps)
        while True:
            failure, is_asked = await _drive_here(engine, run, drive)
            summary = await engine.find(run.id)
            if summary.status != "running" or failure is not None or is_asked:
                break
            run = await engine.resume(run.id, drive.workflow, deps=deps)  # something came while it was let go
        waits = await engine.waits(run.id) if summary.status == "waiting" else []
        if is_asked and summary.status in ("running", "waiting"):
            return Stand(summary, Interrupted(_saved(drive)), waits)
        if failure is not None and summary.status != "failed":
            raise failure
        return Stand(summary, failure, waits)


async def _drive_here(engine: Engine, run: Run, drive: Drive) -> tuple[Exception | None, bool]:
    """Drive a run until it is over, waits, or somebody asks to stop. Returns what made it fail, and whether they did.

    Raises StoreError.
    """
    drive.run_id = run.id
    failure: Exception | None = None
    with stopping(run.stop, second=f"go on with: {_resume_line(drive)}") as stops:
        async with shown(run):
            try:
                await _go_through(engine, run, drive)
            except StoreError:
                raise
            except Exception as error:
                failure = error
    return failure, bool(stops.asked)


async def _go_through(engine: Engine, run: Run, drive: Drive) -> None:
    """Wait for the end of a run, or until it waits for somebody or something outside. Raises what it failed with."""
    told: set[str] = set()
    while await run.settle() == "waiting" and not run.is_over:
        turn = run.turn
        waits = await engine.waits(run.id)
        if drive.stays:
            new = [wait for wait in waits if wait.id not in told]
            told.update(wait.id for wait in new)
            if new:
                _say_waits(run.id, new)
                for line in next_commands(new, run.id, drive.store):
                    say(f"  {line}")
        elif run.status == "waiting" and not _come_soon(waits):
            run.stop()
            await run.wait()
            return
        await run.stir(turn)
    await run.result()


def _come_soon(waits: Sequence[OpenWait]) -> bool:
    """Tell whether a run goes on by itself in a moment, without anybody's word."""
    left = [(wait.until - datetime.now(UTC)).total_seconds() for wait in waits if wait.until is not None]
    return all(wait.kind == "time" for wait in waits) and bool(left) and min(left) <= SOON


@asynccontextmanager
async def _made_deps(workflow: AnyWorkflow) -> AsyncGenerator[object]:
    if workflow.deps_factory is None:
        yield None
        return
    async with workflow.deps_factory() as deps:
        yield deps


def _resume_line(drive: Drive) -> str:
    return command("resume", drive.run_id or "RUN", *([drive.target] if drive.target else []), store=drive.store)


def _saved(drive: Drive) -> str:
    if drive.run_id is None:
        return "Interrupted before the run had begun; nothing was done."
    return (
        f"Interrupted. Run {drive.run_id!r} is saved with every node that finished. Go on with: {_resume_line(drive)}"
    )
