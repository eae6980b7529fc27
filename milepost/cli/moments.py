"""What a run was at one of its checkpoints, and what was changed by hand, as the commands show it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from milepost.engine.difference import MOST, change_lines
from milepost.engine.json_changes import json_changes

if TYPE_CHECKING:
    from milepost.engine.checkpoints import Snapshot
    from milepost.engine.trace import Trace

WIDEST: Final = 100
"""How many characters of a value a line shows."""


def describe_snapshot(then: Snapshot) -> Mapping[str, object]:
    """Return a checkpoint as JSON shows it; values are JSON themselves."""
    return {
        "seq": then.seq,
        "at": then.at.isoformat(timespec="milliseconds"),
        "did": then.did,
        "node": then.node or None,
        "task": then.task or None,
        "status": then.status,
        "error": then.error,
        "state": None if then.state is None else json.loads(then.state),
        "output": None if then.output is None else json.loads(then.output),
        "tasks": [{**asdict(task), "inputs": json.loads(task.inputs)} for task in then.tasks],
        "streams": [{**asdict(stream), "inputs": json.loads(stream.inputs)} for stream in then.streams],
        "joins": [{"node": join.node, "items": [json.loads(item) for item in join.items]} for join in then.joins],
        "outputs": [{**asdict(one), "output": json.loads(one.output)} for one in then.outputs],
    }


def snapshot_lines(then: Snapshot) -> Iterator[str]:
    """Yield a checkpoint as lines for people: what its record says, the state, and what was pending."""
    about = f" {then.node}" if then.node else ""
    yield ""
    yield f"Checkpoint {then.seq}, {then.at:%Y-%m-%d %H:%M:%S}Z: {then.did}{about}"
    if then.state is not None:
        yield "State:"
        yield from (
            f"  {line}" for line in json.dumps(json.loads(then.state), indent=2, ensure_ascii=False).split("\n")
        )
    if then.output is not None:
        yield f"Output: {shortened(then.output)}"
    pending = [
        *(f"{task.node} {task.key} with {shortened(task.inputs)}" for task in then.tasks),
        *(f"{one.node} {one.key}, a stream that has given {one.items} so far" for one in then.streams),
        *(f"{join.node}, a join that has {len(join.items)} so far" for join in then.joins),
        *(f"{one.node} {one.key}, whose output is to be routed" for one in then.outputs),
    ]
    if pending:
        yield "Pending:"
        yield from (f"  {line}" for line in pending)


def state_changes(before: str | None, after: str | None) -> Iterator[str]:
    """Yield what a checkpoint changed of the state, part by part: after a minus as it was, after a plus as it is."""
    lines = [line for change in json_changes(before, after) for line in change_lines(change)]
    if lines:
        yield "It changed:"
        yield from (f"  {line}" for line in lines[:MOST])
    if len(lines) > MOST:
        yield f"  ... and {len(lines) - MOST} more lines"


def changes_of(trace: Trace) -> Iterator[str]:
    """Yield a line for where a run was forked from, and one for each change by hand."""
    if trace.forked_from is not None:
        run_id, seq = trace.forked_from
        yield ""
        yield f"This run was forked from checkpoint {seq} of run {run_id}."
    for edit in trace.edits:
        changed = [f"field {name} of the state" if name else "the state" for name in edit.fields]
        changed += [f"the input of task {key}" for key in edit.inputs]
        yield f"Changed by hand at checkpoint {edit.seq}: {', '.join(changed)}."


def shortened(text: str) -> str:
    """Return JSON text short enough for a line."""
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
