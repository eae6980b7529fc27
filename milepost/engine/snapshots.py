"""A whole position as JSON text, so that opening a run need not read what came before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from milepost.engine.journal_text import ref_from_json, ref_to_json
from milepost.engine.position import LiveStream, Position, Task, WaitingJoin
from milepost.engine.values import Ref
from milepost.engine.versions import Step
from milepost.engine.waits import Early, waiting_from_json, waiting_to_json

FRAME, PART, ITEM = 200, 150, 10
"""About how many characters a snapshot has at least, for a task, a stream or a join, and for what one of those took."""


def snapshot_to_text(position: Position) -> str:
    """Write a whole position down, so that opening a run need not read what came before."""
    from pydantic_core import to_json

    return to_json(
        {
            "seq": position.seq,
            "tasks": [task_to_json(task) for task in position.tasks.values()],
            "streams": [
                [
                    task_to_json(one.task),
                    one.key,
                    one.fork,
                    one.stack,
                    one.run,
                    one.mark,
                    one.route,
                    one.count,
                    one.digest,
                ]
                for one in position.streams.values()
            ],
            "joins": [
                [one.join, one.run, one.stack, [ref_to_json(ref) for ref in one.items], sorted(one.lineages)]
                for one in position.joins.values()
            ],
            "unrouted": [[task_to_json(task), ref_to_json(ref)] for task, ref in position.unrouted.values()],
            "intended": sorted(position.intended),
            "waiting": {key: waiting_to_json(one) for key, one in position.waiting.items()},
            "early": [
                [message, one.event, one.key, one.by, one.at, ref_to_json(one.ref)]
                for message, one in position.early.items()
            ],
            "fields": position.fields,
            "written": position.written,
            "writers": position.writers,
            "past": position.past,
            "output": None if position.output is None else ref_to_json(position.output),
            "definition": position.definition,
            "renamed": position.renamed,
        }
    ).decode()


def about(position: Position) -> int:
    """Return about how many characters a snapshot of a position has, without taking one."""
    parts = len(position.tasks) + len(position.streams) + len(position.joins) + len(position.unrouted)
    items = sum(len(waiting.items) for waiting in position.joins.values())
    return FRAME + PART * parts + ITEM * items + sum(map(len, position.fields.values()))


def snapshot_from_text(text: str) -> Position:
    """Read a position back. The values its references point at have to be fetched by their numbers."""
    from pydantic_core import from_json

    given = from_json(text)
    position = Position(seq=given["seq"], fields=given["fields"], written=given["written"])
    position.definition, position.renamed = given.get("definition", ""), given.get("renamed", 0)
    position.writers.update((name, (task, node)) for name, (task, node) in given.get("writers", {}).items())
    for name, steps in given.get("past", {}).items():
        position.past[name] = [step_from_json(one) for one in steps]
    position.intended.update(given.get("intended", ()))
    position.waiting.update((key, waiting_from_json(one)) for key, one in given.get("waiting", {}).items())
    for message, event, about, by, at, ref in given.get("early", ()):
        kept = ref_from_json(ref, -1, ())
        position.early[message] = Early(event=event, key=about, by=by, at=at, ref=kept)
    for one in given["tasks"]:
        task = task_from_json(one)
        position.tasks[task.key] = task
    for task, key, fork, stack, *rest in given["streams"]:
        position.streams[key] = LiveStream(key, task_from_json(task), fork, stack_from_json(stack), *rest)
    for join, run, stack, items, lineages in given["joins"]:
        chains = {tuple((fork, number) for fork, number in chain) for chain in lineages}
        refs = [ref_from_json(ref, -1, ()) for ref in items]
        position.joins[join, run] = WaitingJoin(join, run, stack_from_json(stack), refs, chains)
    for one, ref in given["unrouted"]:
        task = task_from_json(one)
        position.unrouted[task.key] = (task, ref_from_json(ref, -1, ()))
    if given["output"] is not None:
        position.output = ref_from_json(given["output"], -1, ())
    return position


def step_from_json(given: Sequence[Any]) -> Step:
    number, (start, length, text) = given
    return number, (start, length, text)


def task_to_json(task: Task) -> list[Any]:
    return [task.key, task.node, ref_to_json(task.ref), task.stack, task.spawned]


def task_from_json(given: Sequence[Any]) -> Task:
    key, node, ref, stack, spawned = given
    return Task(key, node, ref_from_json(ref, -1, ()), stack_from_json(stack), spawned)


def stack_from_json(given: Sequence[Sequence[Any]]) -> tuple[tuple[str, str, int], ...]:
    return tuple((fork, run, index) for fork, run, index in given)


def pointed_at(position: Position) -> list[Ref]:
    """Return every reference that a position holds."""
    refs = [task.ref for task in position.tasks.values()]
    refs.extend(stream.task.ref for stream in position.streams.values())
    refs.extend(ref for waiting in position.joins.values() for ref in waiting.items)
    refs.extend(early.ref for early in position.early.values())
    for task, ref in position.unrouted.values():
        refs.extend((task.ref, ref))
    if position.output is not None:
        refs.append(position.output)
    return refs
