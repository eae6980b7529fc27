"""The journals that a run and the runs inside it have left: read, checked, and compared with those of another run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from milepost.engine.codec import Codec
from milepost.engine.drivers import plan_of
from milepost.engine.journal import Kind, Record, apply, from_text, snapshot_to_text
from milepost.engine.keys import idempotency_key
from milepost.engine.logs import status_of
from milepost.engine.opening import adopt_orphans, read_position, verify
from milepost.engine.position import Op, Position, Stream
from milepost.engine.state import whole_of
from milepost.engine.stores.store import RunRow, Store, StoredRecord
from milepost.engine.values import Ref, StoredValues
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

        Raises BrokenJournal, and AssertionError for what only a mistake of Milepost's can bring about.
        """
        stored = tuple(await store.records(row.run_id))
        verify(replace(row, snapshot_seq=0), stored, "")
        records = tuple(from_text(one.seq, one.body, one.content) for one in stored)
        position, done = Position(), dict[str, int]()
        for record, one in zip(records, stored, strict=True):
            task = finished_by(record, position)
            apply(position, record)
            if task is not None:
                done[task] = record.seq
            if one.snapshot is not None:
                assert snapshot_to_text(position) == one.snapshot, f"snapshot {one.seq} is not what the records say"
        assert row.status == status_of(records[-1]), f"the run is {row.status}, and its last record says otherwise"
        assert (position.output is not None) == (row.status == "completed"), "a run is completed when it has an output"
        return cls(path=path, row=row, stored=stored, records=records, done=done, position=position)


def finished_by(record: Record, position: Position) -> str | None:
    """Return the task that never runs again because of a record. position: the one before it."""
    match record.kind:
        case Kind.COMPLETED:
            return None if any(isinstance(op, Stream) for op in record.ops) else record.task
        case Kind.CAUGHT | Kind.EXHAUSTED:
            stream = position.streams.get(record.task)
            return record.task if stream is None else stream.task.key
        case _:
            return None


async def read_tree(store: Store, run_id: str) -> list[Journal]:
    """Read a run and all that are inside it, the outer ones first. Raises what `Journal.read` raises."""
    row = await store.row(run_id)
    assert row is not None, f"the store has no run {run_id!r} any more"
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


async def result_of(store: Store, workflow: Workflow[Any, Any, Any, Any], run_id: str) -> Result:
    """Read the output and the final state of a completed run."""
    row = await store.row(run_id)
    assert row is not None
    plan, codec = plan_of(workflow), Codec(workflow.registered)
    position = (await read_position(store, row)).position
    adopt_orphans(plan, position)
    assert position.output is not None
    output = StoredValues(codec, plan.type_of).load(position.output)
    state = codec.decode(whole_of(position.fields), workflow.state_type) if position.fields else None
    return Result(output=output, state=state)


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
            words[journal.row.run_id] = f"<run {'/'.join(journal.path)}>"
            for task in {record.task for record in journal.records}:
                words[idempotency_key(journal.row.run_id, task)] = f"<key of {task}>"
        return cls(journals[0].row.run_id, words)

    def neutral(self, text: str) -> str:
        """Return text without names."""
        return KEY.sub(lambda found: self.words.get(found[0], found[0]), text.replace(self.run_id, "<run>"))


def facts_of(journals: Iterable[Journal], names: Names) -> Counter[Fact]:
    """Return everything that journals say. names: of the same run."""
    return Counter(fact for journal in journals for fact in _facts(journal, names))


def _facts(journal: Journal, names: Names) -> Iterator[Fact]:
    texts = {record.seq: [names.neutral(value.text or "") for value in record.values] for record in journal.records}
    for record in journal.records:
        node, task = record.node, record.task
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


def _spelt(op: Op, texts: Mapping[int, list[str]]) -> str:
    """Write an op with the values that it refers to in place of the numbers of their records."""
    parts: Iterable[object] = op
    return str([(texts[one.seq][one.slot], one.index) if isinstance(one, Ref) else one for one in parts])
