"""The records of a run, what each does to its position, and how they are written down.

A record is one committed change, which people call a checkpoint. A journal is their list. Folding it with `apply`
gives the position; live, the router takes the same steps (`begin`, `enter` per op, `finish`) while it decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, NamedTuple, assert_never

from milepost.engine.codec import split_array
from milepost.engine.patch import Patch
from milepost.engine.position import (
    Base,
    Cancel,
    Finish,
    Fire,
    Item,
    LiveStream,
    Op,
    OpenJoin,
    Position,
    Spawn,
    SpawnEach,
    Stream,
    StreamBase,
    StreamEnd,
    Task,
    WaitingJoin,
    enter,
    newest_tasks,
    patch_state,
    root,
)
from milepost.engine.revision import Revision, revise, revision_from_json, revision_to_json
from milepost.engine.trace import Usage
from milepost.engine.values import NOT_LOADED, Ref, Value
from milepost.engine.versions import Step
from milepost.engine.waits import Early, Settled, Waiting, waiting_from_json, waiting_to_json


class Kind(StrEnum):
    """What a record says happened.

    CAUGHT: a task failed for good and its failure went along an error edge. INTENDED: a task that may run at most once
    is about to begin. ASKED: a task waits from here on, for an answer, an event, a time or a run inside the run. WOKEN:
    it does no more, as that run goes on. KEPT: an event came before anything waited for it. REFUSED: what was said to
    the run does not fit. MIGRATED: the run goes on with another definition of its workflow. FORKED: the records up to
    here are those of another run. EDITED: somebody has changed the state of a run that nobody drove.
    """

    STARTED = "started"
    COMPLETED = "completed"
    ROUTED = "routed"
    EMITTED = "emitted"
    EXHAUSTED = "exhausted"
    FAILED = "failed"
    CAUGHT = "caught"
    INTENDED = "intended"
    ASKED = "asked"
    WOKEN = "woken"
    KEPT = "kept"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    MIGRATED = "migrated"
    FORKED = "forked"
    EDITED = "edited"


EDITOR: Final = "an edit of the state"
"""What counts as the node that has written what was edited."""


class Tried(NamedTuple):
    """An attempt that was followed by another: when it began and ended, seconds since 1970 UTC, how it failed."""

    started: float
    finished: float
    error: str


class Timing(NamedTuple):
    """When a task's last attempt began and ended, in seconds since 1970 UTC, and how many attempts there were.

    earlier: the attempts before the last one; of very many, the first ones.
    """

    started: float = 0.0
    finished: float = 0.0
    attempts: int = 1
    earlier: tuple[Tried, ...] = ()


def nothing() -> list[Any]:
    """Return a new empty list; calling `list[Op]` for it, as a default, takes ten times as long."""
    return []


@dataclass(slots=True)
class Record:
    """One committed change of a run.

    seq: its number, from 1. task: the key of the task or stream it is about. values: what it stores, by slot. ops:
    what it did to the position, in order. unrouted: the output is kept but not routed. chosen: the values that
    decided, as short text, in the order of the decisions passed. error: of a failure or of the routing. traceback: of a
    failure, as far as it is the author's code. more: another failure follows, which the run fails with.
    given: a hash of the state a run was started with. revision: what the run follows from here on; only the first
    record and those of kind MIGRATED, FORKED and EDITED have one, and none without a store. cached: the output was
    taken from the cache. waiting: what the task waits for from here on. settled: how that ended, or the answer that was
    refused. event: the name of an event that was kept or refused, and what it is about. rests: nothing is left to do
    until somebody answers, something happens or a time comes, which is `due`. keep: where the output is to be put into
    the cache, as (key, when it expires). taken: ids of the messages that it takes in. stream: the stream it is about,
    and how many items that had given. dropped: the tasks that it cancelled. at: when it was committed, seconds since
    1970 UTC, 0 without a store. The last five are not part of the journal: they follow from it, or lie beside it.
    """

    seq: int
    kind: Kind
    task: str
    node: str = ""
    values: list[Value] = field(default_factory=nothing)
    ops: list[Op] = field(default_factory=nothing)
    patch: Patch | None = None
    unrouted: bool = False
    chosen: list[str] = field(default_factory=nothing)
    timing: Timing | None = None
    usage: Usage | None = None
    error: str | None = None
    traceback: str | None = None
    more: bool = False
    given: str | None = None
    revision: Revision | None = None
    cached: bool = False
    waiting: Waiting | None = None
    settled: Settled | None = None
    event: tuple[str, str | None] | None = None
    rests: bool = False
    due: float | None = None
    keep: tuple[str, float | None] | None = None
    taken: tuple[str, ...] = ()
    stream: tuple[LiveStream, int] | None = field(default=None, compare=False)
    dropped: Sequence[Task] = field(default=(), compare=False)
    at: float = field(default=0.0, compare=False)

    @property
    def origin(self) -> tuple[str, int] | None:
        """The run that the records before this one belong to, and the last of them, for one of kind FORKED."""
        return None if self.revision is None else self.revision.origin


def begin(position: Position, record: Record) -> Base:
    """Move the position to the record's number; return what its ops start from."""
    position.seq = record.seq
    kind = record.kind
    if kind is Kind.COMPLETED or (kind is Kind.CAUGHT and record.task in position.tasks):
        task = position.tasks[record.task]
    elif kind is Kind.STARTED:
        task = root()
        position.definition = "" if record.revision is None else record.revision.definition
    elif kind is Kind.ROUTED:
        task = position.unrouted[record.task][0]
    elif kind in (Kind.EMITTED, Kind.EXHAUSTED, Kind.CAUGHT):
        stream = position.streams[record.task]
        record.stream = (stream, stream.count)
        return StreamBase(stream.task.key, stream.task.stack, stream.route, stream.run)
    else:
        return Base("", ())
    return Base(task.key, task.stack)


def finish(position: Position, record: Record) -> None:
    """Take what the record is about out of the position, or keep its output for another try at routing."""
    if record.patch:
        patch_state(position, record.patch, record.task, record.node)
    if position.dropped:
        known = (task for task in position.dropped if task.key != record.task and task.spawned != record.seq)
        record.dropped, position.dropped = tuple(known), []
    if position.output is not None:
        return
    kind = record.kind
    if kind is Kind.COMPLETED or kind is Kind.CAUGHT:
        finish_task(position, record)
    elif kind is Kind.STARTED and record.unrouted:
        position.unrouted[record.task] = (root(), Ref(record.seq, 0, -1, record.values[0]))
    elif kind is Kind.ROUTED:
        position.unrouted.pop(record.task, None)
    elif kind is Kind.INTENDED:
        position.intended.add(record.task)
    elif kind in WAITING_KINDS:
        finish_waiting(position, record)
    elif kind is Kind.EMITTED:
        stream = position.streams.get(record.task)
        if stream is not None:
            stream.count += 1
            stream.digest = item_digest(stream.digest, record.values[0])


def finish_task(position: Position, record: Record) -> None:
    """Take a task out of the position that has come to a result."""
    task = position.tasks.pop(record.task, None)
    if position.intended:
        position.intended.discard(record.task)
    if position.waiting:
        end_waiting(position, record)
    if record.unrouted and task is not None:
        position.unrouted[record.task] = (task, Ref(record.seq, 0, -1, record.values[0]))


WAITING_KINDS: Final = frozenset({Kind.ASKED, Kind.WOKEN, Kind.KEPT, Kind.REFUSED})


def finish_waiting(position: Position, record: Record) -> None:
    """Note what a task waits for, or that something was said to the run."""
    if record.kind is Kind.ASKED and record.waiting is not None:
        position.waiting[record.task] = record.waiting
    elif record.kind is Kind.WOKEN:
        position.waiting.pop(record.task, None)
    elif record.kind is Kind.KEPT and record.event is not None and record.settled is not None:
        event, key = record.event
        _, _, by, at, message = record.settled
        ref = Ref(record.seq, 0, -1, record.values[0])
        position.early[message] = Early(event=event, key=key, by=by, at=at, ref=ref)
    elif record.settled is not None and record.task in position.waiting:
        position.waiting[record.task] = position.waiting[record.task].refusing(record.settled.wait)


def end_waiting(position: Position, record: Record) -> None:
    """Note that a task has come to a result, and so waits no more."""
    position.waiting.pop(record.task, None)
    if record.settled is not None and record.settled.early:
        position.early.pop(record.settled.early, None)


def note_rest(record: Record, position: Position) -> None:
    """Note in a record that is about to be committed whether the run only waits from there on."""
    if position.only_waits:
        record.rests, record.due = True, position.until


def item_digest(before: str, item: Value) -> str:
    """Return the hash over the items of a stream so far; empty without a store."""
    return "" if item.text is None else blake2b(f"{before}{item.text}".encode(), digest_size=16).hexdigest()


def apply(position: Position, record: Record) -> None:
    """Do to `position` what the record says, in place. Pure otherwise: no clock, no I/O, no user code."""
    base = begin(position, record)
    if record.revision is not None and record.kind is not Kind.STARTED:
        take_up(position, record, record.revision)
        return
    for op in record.ops:
        base = enter(position, base, op)
    finish(position, record)


def take_up(position: Position, record: Record, revision: Revision) -> None:
    """Change where a run stands without any of its tasks having done something.

    A state that was edited is the one that everything pending begins with, as if it was spawned by the edit: so it sees
    what whoever edited it saw, and what others wrote before is nothing that it could have missed. A stream goes on with
    what it saw when it began, but for fields that had another form then. A fork has begun none of its tasks yet,
    whatever the other run has; one that was given nothing may have been migrated all the same.
    """
    is_edited = record.given is not None
    revise(position, revision, None if is_edited else record.patch)
    if record.kind is Kind.FORKED:
        position.intended.clear()
    if is_edited and record.patch:
        for task in position.tasks.values():
            task.spawned = record.seq
        patch_state(position, record.patch, "", EDITOR)
        for name in revision.rewritten:
            position.past.pop(name, None)
    for op in record.ops:
        enter(position, Base("", ()), op)


def spawned_by(record: Record, position: Position) -> list[Task]:
    """Return the tasks that a record has made, in order. position: after it."""
    return [] if record.kind in (Kind.FORKED, Kind.EDITED) else newest_tasks(position)


def fold(records: Iterable[Record], position: Position | None = None) -> Position:
    """Return where a run stands after `records`, given where it stood before them."""
    here = position or Position()
    for record in records:
        apply(here, record)
    return here


# --- writing records down --------------------------------------------------------------------------------------------


def to_text(record: Record) -> tuple[str, str]:
    """Return the record as two JSON texts: the body, and an array of its values, each after the name of its type."""
    from pydantic_core import to_json

    body: dict[str, Any] = {"kind": record.kind.value, "task": record.task}
    if record.node:
        body["node"] = record.node
    if record.ops:
        body["ops"] = [op_to_json(op) for op in record.ops]
    if record.patch:
        body["patch"] = record.patch
    if record.unrouted:
        body["unrouted"] = True
    if record.chosen:
        body["chosen"] = record.chosen
    if record.timing is not None:
        write_timing(body, record.timing)
    if record.usage is not None:
        usage = record.usage
        body["usage"] = [usage.requests, usage.input_tokens, usage.output_tokens, usage.cost]
    if record.error is not None:
        write_error(body, record)
    if record.given is not None or record.revision is not None:
        body |= basis(record)
    if record.cached:
        body["cached"] = True
    if record.waiting is not None or record.settled is not None or record.event is not None or record.rests:
        body |= waits_of(record)
    values = ",".join(f"{to_json(value.tag).decode()},{value.text}" for value in record.values)
    return to_json(body).decode(), f"[{values}]"


def write_error(body: dict[str, Any], record: Record) -> None:
    """Write down what went wrong, and whether it is not yet what the run fails with."""
    body["error"] = record.error
    if record.traceback is not None:
        body["traceback"] = record.traceback
    if record.more:
        body["more"] = True


def write_timing(body: dict[str, Any], timing: Timing) -> None:
    """Write down when a task was tried; the attempts before the last one beside it, where there were any."""
    body["timing"] = timing[:3]
    if timing.earlier:
        body["tried"] = timing.earlier


def read_timing(timing: Sequence[Any], tried: Sequence[Sequence[Any]]) -> Timing:
    """Read when a task was tried. tried: the attempts before the last one."""
    started, finished, attempts = timing
    return Timing(started, finished, attempts, tuple(Tried(*one) for one in tried))


def basis(record: Record) -> dict[str, Any]:
    """Write down what a run stands on from this record on."""
    found: dict[str, Any] = {} if record.given is None else {"given": record.given}
    if record.revision is not None:
        found["revision"] = revision_to_json(record.revision, ref_to_json)
    return found


def waits_of(record: Record) -> dict[str, Any]:
    """Write down what a record says of waiting."""
    found: dict[str, Any] = {}
    if record.waiting is not None:
        found["waiting"] = waiting_to_json(record.waiting)
    if record.settled is not None:
        found["settled"] = record.settled
    if record.event is not None:
        found["event"] = record.event
    if record.rests:
        found["rests"] = record.due
    return found


def from_text(seq: int, body: str, values: Sequence[Value] | str) -> Record:
    """Read a record back. values: its values, or their JSON text. Raises ValueError when the text is not a record."""
    from pydantic_core import from_json

    given: dict[str, Any] = from_json(body)
    usage = given.get("usage")
    kept = values_from_text(values) if isinstance(values, str) else list(values)
    timing = given.get("timing")
    patch = given.get("patch")
    revision = given.get("revision")
    record = Record(
        seq,
        Kind(given["kind"]),
        given["task"],
        given.get("node", ""),
        kept,
        patch=None
        if patch is None
        else {name: None if one is None else (one[0], one[1], one[2]) for name, one in patch.items()},
        unrouted=given.get("unrouted", False),
        chosen=given.get("chosen", []),
        timing=None if timing is None else read_timing(timing, given.get("tried", ())),
        usage=None
        if usage is None
        else Usage(requests=usage[0], input_tokens=usage[1], output_tokens=usage[2], cost=usage[3]),
        error=given.get("error"),
        traceback=given.get("traceback"),
        more=given.get("more", False),
        given=given.get("given"),
        revision=None if revision is None else revision_from_json(revision, lambda ref: ref_from_json(ref, seq, kept)),
        cached=given.get("cached", False),
    )
    if WAITING_PARTS & given.keys():
        read_waits(record, given)
    record.ops.extend(op_from_json(one, seq, kept) for one in given.get("ops", ()))
    return record


WAITING_PARTS: Final = frozenset({"waiting", "settled", "event", "rests"})


def read_waits(record: Record, given: Mapping[str, Any]) -> None:
    """Read back what a record says of waiting."""
    waiting, settled, event = given.get("waiting"), given.get("settled"), given.get("event")
    record.waiting = None if waiting is None else waiting_from_json(waiting)
    record.settled = None if settled is None else Settled(*settled)
    record.event = None if event is None else (event[0], event[1])
    record.rests, record.due = "rests" in given, given.get("rests")


def values_from_text(text: str) -> list[Value]:
    """Read the values of a record; they are decoded when they are needed."""
    from pydantic_core import from_json

    parts = split_array(text)
    return [Value(from_json(tag), part, NOT_LOADED) for tag, part in zip(parts[::2], parts[1::2], strict=True)]


def ref_to_json(ref: Ref) -> list[int]:
    return [ref.seq, ref.slot] if ref.index < 0 else [ref.seq, ref.slot, ref.index]


def ref_from_json(given: Sequence[int], seq: int, values: Sequence[Value]) -> Ref:
    number, slot, *index = given
    value = values[slot] if number == seq and slot < len(values) else None
    return Ref(number, slot, index[0] if index else -1, value)


def op_to_json(op: Op) -> list[Any]:
    """Write an op as an array that starts with its name."""
    match op:
        case Spawn(route, ref):
            return ["spawn", route, ref_to_json(ref)]
        case SpawnEach(route, mark, tail, ref, count):
            return ["each", route, mark, tail, ref_to_json(ref), count]
        case Stream(route):
            return ["stream", route]
        case StreamEnd(stream):
            return ["end of stream", stream]
        case OpenJoin(join, run, route):
            return ["open", join, run, route]
        case Item(join, run, route, ref):
            return ["item", join, run, route, ref_to_json(ref)]
        case Fire(join, run, cut):
            return ["fire", join, run, cut]
        case Cancel(join, run, tasks):
            return ["cancel", join, run, tasks]
        case Finish(route, ref):
            return ["finish", route, ref_to_json(ref)]
        case _:
            assert_never(op)


def op_from_json(given: Sequence[Any], seq: int, values: Sequence[Value]) -> Op:
    """Read an op back. Raises ValueError for a name it does not know."""
    match given:
        case ["spawn", route, ref]:
            return Spawn(route, ref_from_json(ref, seq, values))
        case ["each", route, mark, tail, ref, count]:
            return SpawnEach(route, mark, tail, ref_from_json(ref, seq, values), count)
        case ["stream", route]:
            return Stream(route)
        case ["end of stream", stream]:
            return StreamEnd(stream)
        case ["open", join, run, route]:
            return OpenJoin(join, run, route)
        case ["item", join, run, route, ref]:
            return Item(join, run, route, ref_from_json(ref, seq, values))
        case ["fire", join, run, cut]:
            return Fire(join, run, cut)
        case ["cancel", join, run, tasks]:
            return Cancel(join, run, tuple(tasks))
        case ["finish", route, ref]:
            return Finish(route, ref_from_json(ref, seq, values))
        case _:
            raise ValueError(f"{given!r} is not an operation that this version knows")


def chained(before: str, seq: int, body: str, values: str, snapshot: str | None = None) -> str:
    """Return the hash of a record, which covers the one before it: 32 hexadecimal digits."""
    digest = blake2b(f"{before}\0{seq}\0{body}\0".encode(), digest_size=16)
    digest.update(values.encode())
    if snapshot is not None:
        digest.update(f"\0{snapshot}".encode())
    return digest.hexdigest()


# --- snapshots -------------------------------------------------------------------------------------------------------


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
