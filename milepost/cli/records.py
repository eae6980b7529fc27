"""What commands read from a store."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar, cast

from milepost.engine.errors import InputError, UnknownRun

if TYPE_CHECKING:
    from milepost.engine.engine import Engine
    from milepost.engine.stored_runs import RunSummary
    from milepost.engine.trace import Edit, JoinTrace, TaskTrace, Trace

ReadT = TypeVar("ReadT")

LAST: Final = "@last"
WAITING: Final = "@waiting"


def read_store(url: str, read: Callable[[Engine], Awaitable[ReadT]], *, create: bool = False) -> ReadT:
    """Open the store at `url`, do `read` with it, and close it again. create: make it if it is not there."""
    import anyio

    from milepost.engine.engine import Engine
    from milepost.engine.stores.address import open_store

    async def main() -> ReadT:
        async with Engine(open_store(url, create=create)) as engine:
            return await read(engine)

    return anyio.run(main)


async def find_run(engine: Engine, run: str) -> RunSummary:
    """Return the run that `run` names: an id, the only id that begins so, @last or @waiting.

    @last is the run that was changed last; @waiting the one that waits since the longest time.
    Raises UnknownRun: there is none, or the beginning fits several.
    """
    if not run.startswith("@"):
        return await engine.find(run)
    runs = sorted(await engine.runs(), key=lambda summary: summary.updated)
    if run == LAST and runs:
        return runs[-1]
    waiting = [summary for summary in runs if summary.status == "waiting"]
    if run == WAITING and waiting:
        return waiting[0]
    raise NoSuchRun(run)


class NoSuchRun(UnknownRun):
    """No run is what a word like @last stands for."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        reasons = {LAST: "There is no run in this store yet.", WAITING: "No run in this store is waiting."}
        self.args = (
            reasons.get(word, f"{word!r} is not known. Write a run's id, the beginning of one, @last or @waiting."),
        )


def check_goes_on(summary: RunSummary, store: str) -> None:
    """Check that something can be said to a run. store: its URL. Raises InputError: it is over."""
    from milepost.cli.waiting import resume_command

    if summary.status == "completed":
        raise InputError(f"Run {summary.run_id!r} is completed, so nothing can be said to it any more.")
    if summary.status == "cancelled":
        raise InputError(
            f"Run {summary.run_id!r} is cancelled, so nothing can be said to it. To go on with it all the same: "
            f"{resume_command(summary, None, store)} --reopen"
        )


def describe_run(summary: RunSummary) -> Mapping[str, object]:
    """Return a run as the JSON of every command shows it."""
    return {
        "run_id": summary.run_id,
        "workflow": summary.workflow,
        "version": summary.version,
        "status": summary.status,
        "interrupted": summary.interrupted,
        "checkpoints": summary.seq,
        "created": _iso(summary.created),
        "updated": _iso(summary.updated),
        "due": None if summary.due is None else _iso(summary.due),
        "tags": list(summary.tags),
        "output": None if summary.output is None else json.loads(summary.output),
        "error": summary.error,
        "parent_run": summary.parent_run,
        "parent_task": summary.parent_task,
        "forked_from": summary.forked_from,
        "forked_at": summary.forked_at or None,
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def describe_trace(trace: Trace) -> Mapping[str, object]:
    """Return a trace as the JSON of `show` and `trace` shows it: tasks, edges taken, joins, and the definition.

    children: the runs inside it, those inside these, and so on, each with what it did. Their definition is left out
    where the one around them has it at the node that they belong to.
    """
    return {**_told(trace), "definition": json.loads(trace.definition.to_json()), "children": list(_children(trace))}


def _children(trace: Trace) -> Iterator[Mapping[str, object]]:
    """Yield the runs inside a run, each after the one around it; flat, so that no depth is too deep for JSON."""
    pending = deque([trace])
    while pending:
        around = pending.popleft()
        known = {node.id: node.child for node in around.definition.nodes}
        for task in around.tasks:
            child = around.children.get(task.child or "")
            if child is None:
                continue
            pending.append(child)
            own = child.definition != known.get(task.node)
            yield {
                "run_id": child.run_id,
                "parent_run": around.run_id,
                "parent_task": task.key,
                "workflow": child.definition.name,
                "version": child.definition.version,
                "status": child.status,
                "interrupted": child.interrupted,
                "created": _iso(child.created),
                "updated": _iso(child.updated),
                "output": None if child.output is None else json.loads(child.output),
                "error": child.error,
                **_told(child),
                "definition": json.loads(child.definition.to_json()) if own else None,
            }


def _told(trace: Trace) -> Mapping[str, object]:
    return {
        "checkpoints": trace.checkpoints,
        "resumes": [_iso(moment) for moment in trace.resumes],
        "edits": [_plain(edit) for edit in trace.edits],
        "tasks": [_plain(task) for task in trace.tasks],
        "taken": [
            {
                "source": source,
                "target": target,
                "branch": branch,
                "count": count,
                "chosen": trace.chosen.get((source, target, branch)),
            }
            for (source, target, branch), count in trace.taken.items()
        ],
        "joins": [_plain(join) for join in trace.joins],
    }


def _plain(thing: TaskTrace | JoinTrace | Edit) -> Mapping[str, object]:
    return {name: _told_value(value) for name, value in asdict(thing).items()}


def _told_value(value: object) -> object:
    match value:
        case datetime():
            return _iso(value)
        case tuple():
            return [_told_value(one) for one in cast("tuple[object, ...]", value)]
        case dict():
            return {name: _told_value(one) for name, one in cast("dict[str, object]", value).items()}
        case _:
            return value
