"""Whether a run that was crashed came to the same as the one that was not, and did nothing twice that was committed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from milepost.engine.fields import mergers_of
from milepost.engine.mergers import append, last
from milepost.engine.values import shortened
from milepost.testing.journals import Fact, Journal, Names, Result, facts_of
from milepost.testing.notes import Begun, Kept, Note, Opened

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Same = Callable[[Any, Any], bool]
"""Tells whether what a run came to is as good as what the run without a crash came to, which is given first."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a run has left, through all the lives of its process. notes: those of each life."""

    notes: Sequence[Sequence[Note]]
    journals: Sequence[Journal]
    result: Result

    @cached_property
    def names(self) -> Names:
        """What is another in every run."""
        return Names.of(self.journals)

    @cached_property
    def facts(self) -> Counter[Fact]:
        """Everything that the journals say."""
        return facts_of(self.journals, self.names)

    @cached_property
    def written(self) -> Written:
        """What lies in the store."""
        return Written.of(self.journals)

    @property
    def kept(self) -> list[Kept]:
        """Every commit that was told of, in order."""
        return [note for life in self.notes for note in life if isinstance(note, Kept)]

    def ran(self) -> Counter[str]:
        """Return how often the body of each node began, retries not counted."""
        return Counter(note.node for life in self.notes for note in set(first_attempts(life)))

    def again(self) -> Counter[str]:
        """Return how often the body of each node began in a later life again."""
        lives = Counter(note for life in self.notes for note in set(first_attempts(life)))
        found = Counter[str]()
        for note, times in lives.items():
            found[note.node] += times - 1
        return +found


def first_attempts(notes: Sequence[Note]) -> Iterator[Begun]:
    """Yield the beginnings of tasks in one life; a stream has two, as its body is called and then read."""
    return (note for note in notes if isinstance(note, Begun) and note.number == 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Compares runs with the one that nothing happened to.

    straight: that one. state_type: of the workflow. same_output: says what counts as the same where the result depends
    on timing; journals are then not compared. same_state: the same for the final state.
    """

    straight: Evidence
    state_type: Any
    same_output: Same | None = None
    same_state: Same | None = None

    def fault(self, crashed: Evidence) -> str | None:
        """Return the first thing that is wrong, the most telling one; None when nothing is."""
        return (
            next(lost(crashed.notes, crashed.written), None)
            or next(run_again(crashed.notes, crashed.written), None)
            or self._other_output(crashed)
            or self._other_state(crashed)
            or self._other_journal(crashed)
        )

    def _other_output(self, crashed: Evidence) -> str | None:
        expected, found = self.straight.result.output, crashed.result.output
        if self.same_output is not None:
            if self.same_output(expected, found):
                return None
            return (
                f"the output is not as good as without a crash, says same_output: {_short(found)}, without a crash "
                f"{_short(expected)}."
            )
        differs = difference(output_of(self.straight), output_of(crashed), "output")
        if differs is None:
            return None
        return (
            f"the output is another one. {differs}{self._first_fact(crashed)} If that depends on timing alone, say "
            "with same_output= what counts as the same."
        )

    def _other_state(self, crashed: Evidence) -> str | None:
        expected, found = self.straight.result.state, crashed.result.state
        if self.same_state is not None:
            if self.same_state(expected, found):
                return None
            return (
                f"the final state is not as good as without a crash, says same_state: {_short(found)}, without a "
                f"crash {_short(expected)}."
            )
        differs = difference(self._state(self.straight), self._state(crashed), "state")
        if differs is None:
            return None
        return (
            f"the final state is another one. {differs} If that depends on timing alone, say with same_state= what "
            "counts as the same."
        )

    def _state(self, evidence: Evidence) -> dict[str, Json]:
        """Return the final state by field, without what its mergers leave to timing: order, and who was the last."""
        fields = state_of(evidence)
        for name, merger in mergers_of(self.state_type).items():
            value = fields.get(name)
            if merger is last:
                fields.pop(name, None)
            elif merger is append and isinstance(value, list):
                fields[name] = sorted(value, key=json.dumps)
        return fields

    def _other_journal(self, crashed: Evidence) -> str | None:
        if self.same_output is not None:
            return None
        pair = self._facts(crashed)
        if pair is None:
            return None
        expected, found = pair
        return (
            f"the output is the same, but not the way to it. {_two(expected, found)} Bodies that are run again have to "
            "do the same again; if that depends on timing alone, say with same_output= what counts as the same."
        )

    def _facts(self, crashed: Evidence) -> tuple[Fact | None, Fact | None] | None:
        """Return the first fact that only the straight run knows, and the one that the other has in its place."""
        missing, extra = list(self.straight.facts - crashed.facts), list(crashed.facts - self.straight.facts)
        for fact in missing:
            for other in extra:
                if fact[:-1] == other[:-1]:
                    return fact, other
        if missing or extra:
            return missing[0] if missing else None, extra[0] if extra else None
        return None

    def _first_fact(self, crashed: Evidence) -> str:
        """Name the first node that gave something else, in the order of the straight run."""
        pair = self._facts(crashed)
        if pair is None or pair[0] is None or not pair[0].node:
            return ""
        return f" It begins with node {pair[0].node!r}."


@dataclass(frozen=True, slots=True)
class Written:
    """What lies in a store of some runs, in short.

    hashes: of the records, by run and number. done: by run and task, the record from which on it never runs again.
    """

    hashes: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    done: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    @classmethod
    def of(cls, journals: Iterable[Journal]) -> Written:
        """Return what is in these journals."""
        written = cls()
        for journal in journals:
            written.add(journal)
        return written

    def add(self, journal: Journal) -> None:
        """Take the journal of one more run in."""
        run_id = journal.row.run_id
        self.hashes.update({(run_id, one.seq): one.hash for one in journal.stored})
        self.done.update({(run_id, task): seq for task, seq in journal.done.items()})


def lost(notes: Sequence[Sequence[Note]], written: Written) -> Iterator[str]:
    """Yield a sentence for every record that was committed, as the engine was told, and is not there any more.

    notes: of each process, in order.
    """
    for note in (note for life in notes for note in life):
        if isinstance(note, Kept) and written.hashes.get((note.run_id, note.seq)) != note.hash:
            yield f"the store said that record {note.seq} of run {note.run_id!r} was committed, and has lost it."


def run_again(notes: Sequence[Sequence[Note]], written: Written) -> Iterator[str]:
    """Yield a sentence for every time that a task ran although it had been found committed.

    notes: of each process, in order; processes that live one after the other may count as one.
    """
    for number, life in enumerate(notes, 1):
        found: dict[str, int] = {}
        for note in life:
            if isinstance(note, Opened):
                found[note.run_id] = note.seq
            if not isinstance(note, Begun):
                continue
            seq = written.done.get((note.run_id, note.task))
            if seq is not None and seq <= found.get(note.run_id, 0):
                yield (
                    f"node {note.node!r} (task {note.task}) ran again in life {number} of the process, which had found "
                    f"it committed as record {seq} of run {note.run_id!r}."
                )


def output_of(evidence: Evidence) -> Json:
    """Return the output of a run as plain JSON without names of the run."""
    output: Json = json.loads(evidence.names.neutral(evidence.journals[0].row.output or "null"))
    return output


def state_of(evidence: Evidence) -> dict[str, Json]:
    """Return the final state of a run by field, as plain JSON without names of the run."""
    fields = evidence.journals[0].position.fields
    return {name or "whole": json.loads(evidence.names.neutral(text)) for name, text in fields.items()}


def difference(expected: Json, found: Json, path: str) -> str | None:
    """Return a sentence about the first place where two pieces of plain JSON differ, None where they are equal.

    >>> difference({"a": [1, 2]}, {"a": [1, 3]}, "output")
    'At output.a[1] it is 3, without a crash 2.'
    """
    match expected, found:
        case dict(), dict() if expected.keys() == found.keys():
            parts = [(f"{path}.{name}", one, found[name]) for name, one in expected.items()]
        case list(), list() if len(expected) == len(found):
            parts = [(f"{path}[{at}]", one, other) for at, (one, other) in enumerate(zip(expected, found, strict=True))]
        case _:
            if type(expected) is type(found) and expected == found:
                return None
            return f"At {path} it is {shortened(json.dumps(found))}, without a crash {shortened(json.dumps(expected))}."
    return next((told for where, one, other in parts if (told := difference(one, other, where))), None)


def _short(value: object) -> str:
    return shortened(repr(value))


def _two(expected: Fact | None, found: Fact | None) -> str:
    """Tell two facts apart in words."""
    before = "" if expected is None else f"Without a crash there is {_fact(expected)}."
    after = "" if found is None else f"With it there is {_fact(found)}."
    return f"{before} {after}".strip()


def _fact(fact: Fact) -> str:
    return shortened(str(fact), 160)
