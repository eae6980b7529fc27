"""How the records of a run are written down: two JSON texts each, chained by a hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from json.encoder import encode_basestring as quoted
from typing import Any, Final, assert_never

from pydantic_core import from_json, to_json

from milepost.engine.codec import split_array
from milepost.engine.journal import Kind, Record, Timing, Tried
from milepost.engine.position import Cancel, Finish, Fire, Item, Op, OpenJoin, Spawn, SpawnEach, Stream, StreamEnd
from milepost.engine.revision import revision_from_json, revision_to_json
from milepost.engine.trace import Usage
from milepost.engine.values import NOT_LOADED, Ref, Value
from milepost.engine.waits import Settled, waiting_from_json, waiting_to_json


def to_text(record: Record) -> tuple[str, str]:
    """Return the record as two JSON texts: the body, and an array of its values, each after the name of its type.

    What almost every record has is written piece by piece: this is done for every step, and a dict takes twice as long.
    """
    body = '{"kind":"' + record.kind + f'","task":{quoted(record.task)}'
    if record.node:
        body = f'{body},"node":{quoted(record.node)}'
    if record.ops:
        body = f'{body},"ops":[{",".join(map(op_to_text, record.ops))}]'
    if record.patch:
        body = f'{body},"patch":{to_json(record.patch).decode()}'
    if record.unrouted:
        body += ',"unrouted":true'
    if record.chosen:
        body = f'{body},"chosen":[{",".join(map(quoted, record.chosen))}]'
    if record.timing is not None:
        body = f'{body},"timing":{to_json(record.timing[:3]).decode()}'
    others = others_of(record)
    if others:
        body = f"{body},{to_json(others)[1:-1].decode()}"
    values = ",".join([f"{quoted(value.tag)},{value.text}" for value in record.values])
    return body + "}", f"[{values}]"


def others_of(record: Record) -> dict[str, Any]:
    """Return what only few records have."""
    found: dict[str, Any] = {}
    if record.timing is not None and record.timing.earlier:
        found["tried"] = record.timing.earlier
    if record.usage is not None:
        usage = record.usage
        found["usage"] = [usage.requests, usage.input_tokens, usage.output_tokens, usage.cost]
    if record.error is not None:
        write_error(found, record)
    if record.given is not None or record.revision is not None:
        found |= basis(record)
    if record.cached:
        found["cached"] = True
    if record.waiting is not None or record.settled is not None or record.event is not None or record.rests:
        found |= waits_of(record)
    return found


def write_error(body: dict[str, Any], record: Record) -> None:
    """Write down what went wrong, and whether it is not yet what the run fails with."""
    body["error"] = record.error
    if record.traceback is not None:
        body["traceback"] = record.traceback
    if record.more:
        body["more"] = True


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
    parts = split_array(text)
    return [Value(from_json(tag), part, NOT_LOADED) for tag, part in zip(parts[::2], parts[1::2], strict=True)]


def ref_to_json(ref: Ref) -> list[int]:
    return [ref.seq, ref.slot] if ref.index < 0 else [ref.seq, ref.slot, ref.index]


def ref_to_text(ref: Ref) -> str:
    return f"[{ref.seq},{ref.slot}]" if ref.index < 0 else f"[{ref.seq},{ref.slot},{ref.index}]"


def ref_from_json(given: Sequence[int], seq: int, values: Sequence[Value]) -> Ref:
    number, slot, *index = given
    value = values[slot] if number == seq and slot < len(values) else None
    return Ref(number, slot, index[0] if index else -1, value)


def op_to_text(op: Op) -> str:
    """Write an op as an array that starts with its name."""
    match op:
        case Spawn():
            return f'["spawn",{quoted(op.route)},{ref_to_text(op.ref)}]'
        case Item():
            return f'["item",{quoted(op.join)},{quoted(op.run)},{quoted(op.route)},{ref_to_text(op.ref)}]'
        case SpawnEach():
            parts = f"{quoted(op.route)},{quoted(op.mark)},{quoted(op.tail)},{ref_to_text(op.ref)},{op.size}"
            return f'["each",{parts}]'
        case Stream():
            return f'["stream",{quoted(op.route)}]'
        case StreamEnd():
            return f'["end of stream",{quoted(op.stream)}]'
        case OpenJoin():
            return f'["open",{quoted(op.join)},{quoted(op.run)},{quoted(op.route)}]'
        case Fire():
            cut = "null" if op.cut is None else quoted(op.cut)
            return f'["fire",{quoted(op.join)},{quoted(op.run)},{cut}]'
        case Cancel():
            return f'["cancel",{quoted(op.join)},{quoted(op.run)},[{",".join(map(quoted, op.tasks))}]]'
        case Finish():
            return f'["finish",{quoted(op.route)},{ref_to_text(op.ref)}]'
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
    text = f"{before}\0{seq}\0{body}\0{values}"
    if snapshot is not None:
        text = f"{text}\0{snapshot}"
    return blake2b(text.encode(), digest_size=16).hexdigest()
