"""What changes of a position when its run goes on with another definition of its workflow.

The record that says so holds the changes themselves, not the code that made them. So folding the journal gives the
position without the workflow, also after a migration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from milepost.engine.keys import escape, unescape
from milepost.engine.patch import Patch, spliced
from milepost.engine.position import LiveStream, Position, Stack, Task
from milepost.engine.values import Ref

Place = tuple[str, str, int]
"""(join id, run of its parent fork, number of the item)"""


def _no_names() -> Mapping[str, str]:
    return {}


def _no_refs() -> Mapping[str, Ref]:
    return {}


@dataclass(frozen=True, slots=True)
class Revision:
    """What a run follows from one of its records on.

    definition: the fingerprint of the definition. names: the new ids of nodes, by the ids that they had. inputs: the
    new input of what is pending, by the key of the task. items: of joins that wait. outputs: of tasks whose output is
    not routed yet. Joins are named as they are called from here on. origin: of a fork, the run that the records before
    belong to, and the last of them. epoch: of an edit, the number of the owner that made it. rewritten: of a fork or an
    edit, the fields of the state that had another form before it. run: of a fork, its own id.
    """

    definition: str
    names: Mapping[str, str] = field(default_factory=_no_names)
    inputs: Mapping[str, Ref] = field(default_factory=_no_refs)
    items: Mapping[Place, Ref] = field(default_factory=dict[Place, Ref])
    outputs: Mapping[str, Ref] = field(default_factory=_no_refs)
    origin: tuple[str, int] | None = None
    epoch: int = 0
    rewritten: tuple[str, ...] = ()
    run: str = ""

    def refs(self) -> list[Ref]:
        """Return every reference that it brings."""
        return [*self.inputs.values(), *self.items.values(), *self.outputs.values()]


def revise(position: Position, revision: Revision, patch: Patch | None) -> None:
    """Bring a position to what a revision says, in place. Raises KeyError: it does not fit the position."""
    position.definition = revision.definition
    if revision.names:
        rename(position, revision.names)
    tasks: dict[str, list[Task]] = {}
    for task in all_pending(position) if revision.inputs else ():
        tasks.setdefault(task.key, []).append(task)
    for key, ref in revision.inputs.items():
        for task in tasks[key]:
            task.ref = ref
    for (join, run, number), ref in revision.items.items() if position.keep_items else ():
        position.joins[join, run].items[number] = ref
    for key, ref in revision.outputs.items():
        position.unrouted[key] = (position.unrouted[key][0], ref)
    if patch:
        rewrite_state(position, patch)


def all_pending(position: Position) -> list[Task]:
    """Return the tasks that have to be run, that give a stream, or whose output has to be routed."""
    tasks = list(position.tasks.values())
    tasks += [stream.task for stream in position.streams.values()]
    tasks += [task for task, _ in position.unrouted.values()]
    return tasks


def rename(position: Position, names: Mapping[str, str]) -> None:
    """Give nodes other ids, all at once. Keys and runs of forks stay. Raises ValueError: two open joins become one."""
    position.renamed = position.seq
    for task in all_pending(position):
        task.node = names.get(task.node, task.node)
        task.stack = _renamed_stack(task.stack, names)
    for name, (key, node) in position.writers.items():
        position.writers[name] = key, names.get(node, node)
    for stream in position.streams.values():
        _rename_stream(stream, names)
    before = list(position.joins.values())
    position.joins.clear()
    for waiting in before:
        waiting.join = names.get(waiting.join, waiting.join)
        waiting.stack = _renamed_stack(waiting.stack, names)
        waiting.lineages = {tuple((names.get(fork, fork), run) for fork, run in one) for one in waiting.lineages}
        if (waiting.join, waiting.run) in position.joins:
            raise ValueError(f"two joins that wait would both be called {waiting.join!r}")
        position.joins[waiting.join, waiting.run] = waiting


def _renamed_stack(stack: Stack, names: Mapping[str, str]) -> Stack:
    return tuple((names.get(fork, fork), run, number) for fork, run, number in stack)


def _rename_stream(stream: LiveStream, names: Mapping[str, str]) -> None:
    stream.fork = names.get(stream.fork, stream.fork)
    stream.stack = _renamed_stack(stream.stack, names)
    stream.route = "/".join(_renamed_segment(segment, names) for segment in stream.route.split("/"))


def _renamed_segment(segment: str, names: Mapping[str, str]) -> str:
    mark = "#" if "#" in segment else ":"
    name, found, number = segment.partition(mark)
    node = unescape(name)
    return f"{escape(names.get(node, node))}{found}{number}"


def rewrite_state(position: Position, patch: Patch) -> None:
    """Change the state without any task having written it.

    A field stays written by who wrote it last, so that a task which was spawned before and changes it now is not taken
    for one that came too late. A new field counts as written when the newest of those was that it stands in for. What
    a field was before is forgotten, as it was of another form: everything pending sees it as it is now.
    """
    gone = [name for name, change in patch.items() if change is None]
    last = max(gone, key=lambda name: position.written.get(name, 0), default="")
    newest, writer = position.written.get(last, 0), position.writers.get(last)
    for name, change in patch.items():
        position.past.pop(name, None)
        if change is not None and (name in position.fields or writer is None):
            position.fields[name] = spliced(position.fields.get(name, ""), change)
        elif change is not None and writer is not None:
            position.fields[name], position.written[name], position.writers[name] = change[2], newest, writer
    for name in gone:
        for part in (position.fields, position.written, position.writers):
            part.pop(name, None)


# --- writing it down --------------------------------------------------------------------------------------------------


def revision_to_json(revision: Revision, write: Callable[[Ref], Any]) -> dict[str, Any]:
    """Write a revision down, without what it leaves as it is. write: writes a reference."""
    body: dict[str, Any] = {"definition": revision.definition}
    if revision.names:
        body["names"] = revision.names
    if revision.inputs:
        body["inputs"] = {key: write(ref) for key, ref in revision.inputs.items()}
    if revision.items:
        body["items"] = [[*place, write(ref)] for place, ref in revision.items.items()]
    if revision.outputs:
        body["outputs"] = {key: write(ref) for key, ref in revision.outputs.items()}
    if revision.origin is not None:
        body["from"] = revision.origin
    if revision.epoch:
        body["epoch"] = revision.epoch
    if revision.rewritten:
        body["rewritten"] = revision.rewritten
    if revision.run:
        body["run"] = revision.run
    return body


def revision_from_json(given: Mapping[str, Any], read: Callable[[Any], Ref]) -> Revision:
    """Read a revision back. read: reads a reference."""
    origin = given.get("from")
    return Revision(
        given["definition"],
        dict(given.get("names", {})),
        {key: read(ref) for key, ref in given.get("inputs", {}).items()},
        {(join, run, number): read(ref) for join, run, number, ref in given.get("items", ())},
        {key: read(ref) for key, ref in given.get("outputs", {}).items()},
        None if origin is None else (origin[0], origin[1]),
        given.get("epoch", 0),
        tuple(given.get("rewritten", ())),
        given.get("run", ""),
    )
