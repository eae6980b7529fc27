"""Runs inside runs: what the task of one run asks for, and how deep in one another runs are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import anyio
from anyio.lowlevel import checkpoint

from milepost.engine.errors import MilepostError, WorkflowError
from milepost.engine.trace import RunStatus
from milepost.engine.workflow import Workflow

AnyWorkflow = Workflow[Any, Any, Any, Any]

SHOWN = 6
"""How many names of workflows inside one another are told of a longer chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildWork:
    """What a task wants to have done by a run of its own.

    begin: makes the inputs and the state to begin with; it is called once, when there is no such run yet, so that a
    resume begins with what is stored. depth: how many workflows may be inside one another, if this is the outermost.
    """

    workflow: AnyWorkflow
    begin: Callable[[], tuple[Any, Any]]
    deps: Any
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run is among runs inside one another.

    workflow: the name of its own. parent_run, parent_task: the task that it is driven for, None for a run of its own.
    passed: workflow and node of every task that it is inside of, the outermost first; "" for a node that is not known.
    limit: how many of those there may be, None where nobody has said. isolation: as the outermost run was started.
    reopen: what was cancelled goes on, because the outermost run was told to.
    """

    workflow: str
    parent_run: str | None = None
    parent_task: str | None = None
    passed: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    isolation: str | None = None
    reopen: bool = False

    def is_inside(self, node: str) -> bool:
        """Tell whether the run is inside a task of this node of its own workflow."""
        return (self.workflow, node) in self.passed


def name_of(workflow: AnyWorkflow) -> str:
    """Return the name that the runs of a workflow are kept under."""
    return workflow.name or "workflow"


def chain(passed: list[tuple[str, str]]) -> str:
    """Return the names of workflows inside one another, the outermost first.

    >>> chain([("a", "x"), ("b", "y"), ("c", "")])
    'a > b > c'
    """
    names = [workflow for workflow, _ in passed]
    shown = names if len(names) <= SHOWN else [*names[: SHOWN - 2], "...", names[-1]]
    return " > ".join(shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The task that a run is driven for.

    is_wanted: tells whether the task is still to be done, here or by whoever resumes its run. asleep: is told that the
    run waits, and until when; awake: that it goes on.
    """

    run_id: str
    task: str
    node: str
    place: Place
    is_wanted: Callable[[], bool]
    asleep: Callable[[str, float | None], None]
    awake: Callable[[], None]

    def inside(self, work: ChildWork) -> Place:
        """Return the place of the run that this task wants. Raises WorkflowError: it would be too deep."""
        place, name = self.place, name_of(work.workflow)
        passed = (*place.passed, (place.workflow, self.node))
        limit = work.depth if place.limit is None else place.limit
        if len(passed) > limit:
            raise WorkflowError(
                f"Workflow {name!r} is nested more than {limit} deep: {chain([*passed, (name, '')])}. "
                f"Raise depth= of node {passed[0][1]!r} of workflow {passed[0][0]!r}, or end the recursion."
            )
        return replace(place, workflow=name, parent_run=self.run_id, parent_task=self.task, passed=passed, limit=limit)


class ChildRun(Protocol):
    """A run that is driven for a task."""

    @property
    def id(self) -> str: ...

    @property
    def status(self) -> RunStatus: ...

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is not driven here any more."""
        ...

    async def result(self) -> Any:
        """Wait for the end and return the output, or raise what it failed with."""
        ...

    @property
    def due(self) -> float | None:
        """When it goes on by itself where it waits, seconds since 1970 UTC, None for never."""
        ...

    async def wait(self) -> RunStatus:
        """Wait for the end and return how the run stands then; "running" when it was only stopped here."""
        ...

    async def settle(self) -> RunStatus:
        """Wait until it is over or waits for something outside, and return how it stands."""
        ...

    async def stir(self) -> None:
        """Wait until it waits no more."""
        ...

    def cancel(self) -> None:
        """End it for good."""
        ...

    def stop(self) -> None:
        """Stop driving it here."""
        ...


async def result_for(parent: Parent, run: ChildRun) -> Any:
    """Return the output of a run that is driven for a task.

    When the task is cancelled, the run is stopped, for a resume to go on with; or it is cancelled for good, if nobody
    will ask for it again. It is over when this returns. Raises what the run failed with, which then names the run.
    """
    try:
        if run.status == "running":
            parent.awake()
        while await run.settle() == "waiting" and not run.is_over:
            parent.asleep(run.id, run.due)
            await run.stir()
            parent.awake()
        if await run.wait() in ("running", "waiting"):
            await checkpoint()  # where everything is being stopped, this task is, too, and has not failed
        return await run.result()
    except MilepostError as error:
        raise ended_inside(error, run.id) from error.__cause__
    except anyio.get_cancelled_exc_class():
        if parent.is_wanted():
            run.stop()
        else:
            run.cancel()
        with anyio.CancelScope(shield=True):
            await run.wait()
        raise


def ended_inside(error: BaseException, run_id: str) -> BaseException:
    """Return what a run inside a run failed with, saying of which run it is."""
    if isinstance(error, MilepostError) and error.child_run is None:
        error.child_run = run_id
    return error
