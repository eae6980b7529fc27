"""The journals that a run and the runs inside it have left: read, checked, and compared with those of another run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from milepost.engine.account import status_of
from milepost.engine.codec import Codec, split_array
from milepost.engine.engine import Engine
from milepost.engine.errors import BrokenJournal, UnknownRun
from milepost.engine.fields import whole_of
from milepost.engine.journal import Kind, Record, apply
from milepost.engine.journal_text import from_text
from milepost.engine.keys import idempotency_key
from milepost.engine.opening import verify
from milepost.engine.position import Op, Position, Stream
from milepost.engine.snapshots import snapshot_to_text
from milepost.engine.stores.store import RunRow, Store, StoredRecord
from milepost.engine.values import Ref, Value
from milepost.engine.workflow import Workflow

KEY: Final = re.compile(r"\b[0-9a-f]{32}\b")
"""How idempotency keys, and the ids of runs inside runs, are spelt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The journal of one run, read back.

    path: the keys of the tasks that it is inside of, the outermost first. done: by the key of a task, the record from
    which on it never runs again. position: where the run stands.
    """

    path: tuple[str, ...]
    row: RunRow
    stored: tuple[StoredRecord, ...]
    records: tuple[Record, ...]
    done: Mapping[str, int]
    position: Position

    @classmethod
    async def read(cls, store: Store, row: RunRow, path: tuple[str, ...] = ()) -> Journal:
        """Read a run and check all of it: its chain of hashes, its snapshots, and what its row says.

        Raises BrokenJournal.
        """
        stored = tuple(await store.records(row.run_id))
        verify(replace(row, snapshot_seq=0), stored, "")
        records = tuple(from_text(one.seq, one.body, one.content) for one in stored)
        position, done = Position(), dict[str, int]()
        for record, one in zip(records, stored, strict=True):
            task = finished_by(record, position)
            apply(position, record)
            if task is not None:
                done.setdefault(task, record.seq)
            if one.snapshot is not None and one.snapshot != snapshot_to_text(position):
                raise BrokenJournal(row.run_id, record.seq, "its snapshot is not what the records say")
        if row.status != status_of(records[-1]):
            raise BrokenJournal(
                row.run_id, row.seq, f"the run is said to be {row.status}, and the record says otherwise"
            )
        return cls(path=path, row=row, stored=stored, records=records, done=done, position=position)


def finished_by(record: Record, position: Position) -> str | None:
    """Return the task that never runs again because of a record. position: the one before it."""
    match record.kind:
        case Kind.COMPLETED:
            return None if any(isinstance(op, Stream) for op in record.ops) else record.task
        case Kind.CAUGHT | Kind.EXHAUSTED:
            stream = position.streams.get(record.task)
            return record.task if stream is None else stream.task.key
        case Kind.ASKED:  # what it waits for is known, but for a run inside, which its body has to look for
            return None if record.waiting is None or record.waiting.is_inside else record.task
        case _:
            return None


async def read_tree(store: Store, run_id: str) -> list[Journal]:
    """Read a run and all that are inside it, the outer ones first. Raises BrokenJournal, UnknownRun."""
    row = await store.row(run_id)
    if row is None:
        raise UnknownRun(run_id)
    found = [await Journal.read(store, row)]
    for outer in found:
        for child in await store.children(outer.row.run_id):
            found.append(await Journal.read(store, child, (*outer.path, child.parent_task or "")))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a completed run came to."""

    output: Any
    state: Any


async def result_of(engine: Engine, workflow: Workflow[Any, Any, Any, Any], journal: Journal) -> Result:
    """Return the output and the final state of a completed run, from its journal and its store alone."""
    run = await engine.resume(journal.row.run_id, workflow)
    fields, codec = journal.position.fields, Codec(workflow.registered)
    state = codec.decode(whole_of(fields), workflow.state_type) if fields else None
    return Result(output=await run.result(), state=state)


# --- comparing -------------------------------------------------------------------------------------------------------


class Fact(NamedTuple):
    """Something that a journal says, with nothing in it that depends on time, on order or on the run's id.

    what: in words. text: JSON, or as it is spelt in a journal.
    """

    path: tuple[str, ...]
    node: str
    task: str
    what: str
    text: str

    def __str__(self) -> str:
        node = f" of node {self.node!r}" if self.node else ""
        return f"{self.what}{node}: {self.text}"


@dataclass(frozen=True, slots=True)
class Names:
    """What is another in every run, though nothing else is: the run's id, and keys that are made of it.

    words: by the name, what stands for it when runs are compared.
    """

    run_id: str
    words: Mapping[str, str]

    @classmethod
    def of(cls, journals: Sequence[Journal]) -> Names:
        """Return the names that can be met in the journals of a run and of those inside it."""
        words: dict[str, str] = {}
        for journal in journals:
            place = "/".join(journal.path)
            words[journal.row.run_id] = f"<run {place}>"
            for task in {record.task for record in journal.records}:
                words[idempotency_key(journal.row.run_id, task)] = f"<key of {place}/{task}>"
        return cls(journals[0].row.run_id, words)

    def neutral(self, text: str) -> str:
        """Return text without names."""
        return KEY.sub(lambda found: self.words.get(found[0], found[0]), text.replace(self.run_id, "<run>"))


def facts_of(journals: Iterable[Journal], names: Names) -> Counter[Fact]:
    """Return everything that journals say. names: of the same run."""
    return Counter(fact for journal in journals for fact in _facts(journal, names))


def _facts(journal: Journal, names: Names) -> Iterator[Fact]:
    texts = {record.seq: [_spelt_value(record, value, names) for value in record.values] for record in journal.records}
    for record in journal.records:
        node, task = record.node, record.task
        if not is_passing(record):
            yield Fact(journal.path, node, task, "the outcome", record.kind)
        if record.error is not None:
            yield Fact(journal.path, node, task, "the error", names.neutral(record.error))
        for value, text in zip(record.values, texts[record.seq], strict=True):
            if value.tag == f"out:{node}":
                yield Fact(journal.path, node, task, "the output", text)
            else:
                yield Fact(journal.path, "", "", value.tag, text)
        for chosen in record.chosen:
            yield Fact(journal.path, "", "", "a decision", chosen)
        for op in record.ops:
            yield Fact(journal.path, "", "", type(op).__name__, _spelt(op, texts))


def is_passing(record: Record) -> bool:
    """Tell whether there may be more or fewer of a record: one for each time that a task was begun, or looked again."""
    looks = record.kind is Kind.WOKEN or (record.waiting is not None and record.waiting.is_inside)
    return looks or record.kind is Kind.INTENDED


def _spelt_value(record: Record, value: Value, names: Names) -> str:
    """Write a value; one that a join has gathered is a set of items, as they come in any order."""
    text = names.neutral(value.text or "")
    is_gathered = value.tag.startswith("out:") and value.tag != f"out:{record.node}"
    return f"[{','.join(sorted(split_array(text)))}]" if is_gathered and text.startswith("[") else text


def _spelt(op: Op, texts: Mapping[int, list[str]]) -> str:
    """Write an op with the values that it refers to in place of the numbers of their records."""
    parts: Iterable[object] = op
    return str([(texts[one.seq][one.slot], one.index) if isinstance(one, Ref) else one for one in parts])
