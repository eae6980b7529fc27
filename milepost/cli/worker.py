"""`milepost worker`: go on with the runs whose time has come, that were answered, or whose process has died."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TextIO, assert_never

import click

from milepost.cli.execute import check_ready
from milepost.cli.exits import Exit
from milepost.cli.options import common_options, durability_option, store_option
from milepost.cli.screen import SCHEMA_VERSION, Invocation, prints_to_stderr, say
from milepost.cli.signals import stopping
from milepost.cli.stores import prepare, with_durability
from milepost.cli.waiting import moment
from milepost.engine.errors import InputError
from milepost.engine.stores.address import without_password

if TYPE_CHECKING:
    from milepost.cli.target import AnyWorkflow
    from milepost.engine.worker_events import RunLeft, WorkerEvent

NOTHING_REGISTERED: Final = (
    "No workflow is registered here that could be served. Name them: milepost worker package.module:workflow, or "
    "register them under [tool.milepost.workflows] in pyproject.toml."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What one call of the command serves, and how."""

    workflows: Sequence[AnyWorkflow]
    store: str
    max_runs: int
    poll: float
    grace: float
    once: bool


@dataclass(slots=True)
class Diary:
    """Writes down what the worker does: a line for people, or a JSON document on a line. stopped: runs, by the end."""

    out: TextIO
    as_json: bool
    stopped: list[str] = field(default_factory=list[str])

    def tell(self, event: WorkerEvent) -> None:
        """Take one event."""
        from milepost.engine.worker_events import RunLeft

        if isinstance(event, RunLeft) and event.status == "running":
            self.stopped.append(event.run_id)
        if self.as_json:
            click.echo(json.dumps(document_of(event), ensure_ascii=False), file=self.out)
        else:
            say(f"{event.at.astimezone():%H:%M:%S} {line_of(event)}")


@click.command()
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@click.option(
    "--max-runs", metavar="N", type=click.IntRange(min=1), default=10, show_default=True, help="Runs at once, at most."
)
@click.option(
    "--poll",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=0.5,
    show_default=True,
    help="How long it may take until it is seen that a run can go on.",
)
@click.option(
    "--grace",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="How long runs may go on until they wait or end, when the worker is stopped.",
)
@click.option("--once", is_flag=True, help="Stop when nothing is ready any more, instead of waiting for more.")
@store_option
@durability_option
@common_options
@click.pass_obj
def worker(
    asked: Invocation,
    targets: Sequence[str],
    max_runs: int,
    poll: float,
    grace: float,
    once: bool,
    store: str,
    durability: str | None,
) -> int:
    """Go on with the runs of each TARGET whose time has come, that were answered, or whose process has died.

    Without a TARGET, with the runs of every workflow that is registered. Any number of workers can share a store. The
    first Ctrl-C or SIGTERM lets the runs under way come to where they wait or end, the second one stops at once;
    whatever is stopped goes on with another worker. With --json, one document on a line of stdout for all that happens.
    """
    workflows = [find_target(target) for target in targets] or find_registered_ones()
    url = with_durability(store, durability)
    prepare(url)
    service = Service(workflows=workflows, store=url, max_runs=max_runs, poll=poll, grace=grace, once=once)
    diary = Diary(sys.stdout, asked.as_json)
    with prints_to_stderr():
        return serve(service, diary)


def find_target(target: str) -> AnyWorkflow:
    """Return a workflow that was named. Raises InputError: a worker could not serve it."""
    from milepost.cli.target import find_workflow

    workflow = find_workflow(target)
    check_ready(workflow, None)
    return workflow


def find_registered_ones() -> list[AnyWorkflow]:
    """Return the registered workflows that can be served, and say which cannot. Raises InputError: there is none."""
    from milepost.engine.worker import registered_workflows

    found = registered_workflows(
        lambda name, error: say(f"The registered workflow {name!r} is not served: {error}"),
    )
    if not found:
        raise InputError(NOTHING_REGISTERED)
    return found


def serve(service: Service, diary: Diary) -> Exit:
    """Serve until it is stopped, and say how that went."""
    import anyio

    anyio.run(_serve, service, diary.tell)
    if diary.stopped:
        count = "1 run was" if len(diary.stopped) == 1 else f"{len(diary.stopped)} runs were"
        say(f"Stopped. {count} stopped under way, with every node that finished saved; any worker goes on.")
        return Exit.INTERRUPTED
    if not service.once:
        say("Stopped. No run was under way any more.")
    return Exit.DONE


async def _serve(service: Service, tell: Callable[[WorkerEvent], None]) -> None:
    import anyio

    from milepost.engine.engine import Engine

    stop = anyio.Event()
    names = ", ".join(sorted({repr(workflow.name) for workflow in service.workflows}))
    async with Engine(service.store) as engine:
        with stopping(
            stop.set,
            first=f"when the runs under way wait or have ended, in {service.grace:g} seconds at the latest",
            second="any worker goes on with what was under way.",
        ):
            if not service.once:
                say(f"Serving {names} in {without_password(service.store)}. Ctrl-C stops it.")
            await engine.serve_waiting(
                service.workflows,
                max_runs=service.max_runs,
                poll=service.poll,
                grace=service.grace,
                stop=stop,
                once=service.once,
                tell=tell,
            )


def line_of(event: WorkerEvent) -> str:
    """Return an event as people read it."""
    from milepost.engine.worker_events import RunLeft, RunRefused, RunTaken, StoreAway

    match event:
        case RunTaken():
            return f"{event.run_id} ({event.workflow}) goes on after checkpoint {event.seq}."
        case RunLeft():
            return f"{event.run_id} ({event.workflow}) {_standing(event)}, checkpoint {event.seq}."
        case RunRefused():
            return f"{event.run_id} ({event.workflow}) cannot go on: {event.error}"
        case StoreAway():
            return f"The store cannot be read, and is asked again: {event.error}"
        case _:
            assert_never(event)


def _standing(event: RunLeft) -> str:
    match event.status:
        case "waiting":
            until = "" if event.due is None else f" until {moment(event.due)} at the latest"
            return f"waits{until}"
        case "failed":
            return f"failed: {(event.error or '').rstrip('.')}"
        case "running":
            return "was stopped"
        case _:
            return f"is {event.status}"


def document_of(event: WorkerEvent) -> dict[str, object]:
    """Return an event as a JSON document."""
    from milepost.engine.worker_events import RunLeft, RunRefused, RunTaken, StoreAway

    told: Mapping[str, object]
    match event:
        case RunTaken():
            name, told = "taken", {"checkpoint": event.seq}
        case RunLeft():
            due = None if event.due is None else event.due.isoformat()
            name = "left"
            told = {"checkpoint": event.seq, "status": event.status, "due": due, "error": event.error}
        case RunRefused():
            name, told = "refused", {"error": _fault(event.error)}
        case StoreAway():
            name, told = "store away", {"error": _fault(event.error)}
        case _:
            assert_never(event)
    run: Mapping[str, str] = (
        {} if isinstance(event, StoreAway) else {"run_id": event.run_id, "workflow": event.workflow}
    )
    return {"schema_version": SCHEMA_VERSION, "at": event.at.isoformat(), "event": name, **run, **told}


def _fault(error: Exception) -> dict[str, str]:
    return {"type": type(error).__name__, "message": str(error)}
