"""Reading a run back from lines of JSON: whole, verified, or not at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from milepost.engine.errors import InputError
from milepost.engine.exporting import FORMAT, check_of
from milepost.engine.reading import has_fingerprint, unknown_word
from milepost.engine.stores.memory import MemoryStore
from milepost.engine.stores.store import Message, Opening, Posted, RunRow, Store, StoredRecord, WholeRun
from milepost.engine.verifying import Finding, verify_run

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

_HEAD: Final = '{"check":"'
_DIGITS: Final = 16
_FOREIGN: Final = "is not one that 'milepost export' has written"


@dataclass(slots=True)
class Draft:
    """A run that is being read. line: of its row. lines: of its records, by their numbers."""

    row: RunRow
    line: int
    openings: list[Opening] = field(default_factory=list[Opening])
    messages: list[Posted] = field(default_factory=list[Posted])
    records: list[StoredRecord] = field(default_factory=list[StoredRecord])
    lines: dict[int, int] = field(default_factory=dict[int, int])


class Reader:
    """Reads lines, one after another. drafts: the runs so far, in order. is_whole: the last line was read."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.definitions: dict[str, str] = {}
        self.is_whole = False
        self.number = 0
        self._before = ""
        self._expected: list[str] = []
        self._known: set[str] = set()

    def read(self, text: str) -> None:
        """Read the next line. Raises InputError, which names the line."""
        self.number += 1
        kind, value = self._opened(text.rstrip("\r\n"))
        if self.number == 1:
            self._begin(kind, value)
        elif self.is_whole:
            raise self.fault("comes after the end")
        elif kind == "definition":
            fingerprint, text = self._plain(value, "fingerprint"), self._plain(value, "description")
            if not has_fingerprint(text, fingerprint):
                raise self.fault("is damaged: a definition does not match its fingerprint")
            self.definitions[fingerprint] = text
        elif kind == "run":
            draft = Draft(self._made(RunRow, value), self.number)
            if draft.row.run_id in self._known:
                raise self.fault("has a run that the file has before")
            self._known.add(draft.row.run_id)
            self.drafts.append(draft)
        elif kind == "end":
            self.is_whole = True
            if value != {"lines": self.number} or [draft.row.run_id for draft in self.drafts] != self._expected:
                raise self.fault("ends a file from which something is missing")
        elif not self.drafts:
            raise self.fault("comes before any run")
        else:
            self._add(self.drafts[-1], kind, value)

    def fault(self, reason: str) -> InputError:
        """Return what to raise for the line that was read last."""
        return InputError(f"Line {self.number} of the file {reason}. Nothing was imported.")

    def _opened(self, text: str) -> tuple[str, Any]:
        """Return what a line is, and what it says."""
        start = len(_HEAD) + _DIGITS + 2
        check, rest = text[len(_HEAD) : len(_HEAD) + _DIGITS], text[start:]
        try:
            if not text.startswith(_HEAD) or text[start - 2 : start] != '",':
                raise ValueError(text)
            ((kind, value),) = json.loads(f"{{{rest}").items()
        except (ValueError, AttributeError, RecursionError):
            raise self.fault(_FOREIGN if self.number == 1 else "is damaged: it cannot be read") from None
        if self.number == 1 and kind == "milepost export" and _is_newer(value):
            raise self.fault("says that a newer Milepost has written it; upgrade Milepost")
        expected = check_of(self._before, rest)
        if check != expected:
            raise self.fault("is damaged, or a line before it is missing: it does not match its checksum")
        self._before = expected
        return kind, value

    def _begin(self, kind: str, value: Any) -> None:
        try:
            if kind != "milepost export" or value["format"] != FORMAT:
                raise ValueError(kind)
            self._expected = [str(run_id) for run_id in value["runs"]]
        except (ValueError, KeyError, TypeError):
            raise self.fault(_FOREIGN) from None

    def _add(self, draft: Draft, kind: str, value: Any) -> None:
        """Add something to the run that it belongs to."""
        match kind:
            case "opening":
                draft.openings.append(self._made(Opening, value))
            case "message":
                taken = cast("dict[str, Any]", value).pop("taken", None) if isinstance(value, dict) else None
                draft.messages.append(Posted(self._made(Message, value), taken))
            case "record":
                record = self._made(StoredRecord, value)
                draft.records.append(record)
                draft.lines[record.seq] = self.number
            case _:
                raise self.fault(f"says {kind!r}, which this Milepost does not know")

    def _plain(self, value: Any, name: str) -> str:
        try:
            return str(value[name])
        except (KeyError, TypeError):
            raise self.fault("is damaged: something is missing in it") from None

    def _made(self, kind: type[T], value: Any) -> T:
        try:
            made: T = adapters()[kind].validate_python(value)
        except ValueError:
            raise self.fault("is damaged: it is not what it says that it is") from None
        return made

    def runs(self) -> list[WholeRun]:
        """Return the runs that were read. Raises InputError."""
        return [
            WholeRun(
                row=draft.row,
                definition=self._definition(draft),
                records=draft.records,
                openings=draft.openings,
                messages=draft.messages,
            )
            for draft in self.drafts
        ]

    async def define(self, store: Store) -> None:
        """Keep the definitions that were read, also those that a run has followed before. Raises StoreError."""
        for fingerprint, text in self.definitions.items():
            await store.define(fingerprint, text)

    def _definition(self, draft: Draft) -> str:
        text = self.definitions.get(draft.row.fingerprint)
        if text is None:
            self.number = draft.line
            raise self.fault("names a definition that the file does not have")
        return text


def _is_newer(value: Any) -> bool:
    version: Any = cast("dict[str, Any]", value).get("format") if isinstance(value, dict) else None
    return isinstance(version, int) and version > FORMAT


@cache
def adapters() -> Mapping[type, TypeAdapter[Any]]:
    """Return what checks the parts of a run."""
    from pydantic import TypeAdapter

    return {kind: TypeAdapter(kind) for kind in (RunRow, Opening, Message, StoredRecord)}


async def imported(store: Store, lines: Iterable[str] | AsyncIterable[str]) -> RunRow:
    """Put a run that was exported into a store, with the runs inside it, and return its row.

    Costs memory in the size of all of it. Raises InputError: the lines are damaged, or not of an export, or one of the
    runs is in the store already. StoreError. Nothing is imported then.
    """
    reader = Reader()
    if isinstance(lines, AsyncIterable):
        async for line in lines:
            reader.read(line)
    else:
        for line in lines:
            reader.read(line)
    if not reader.is_whole or not reader.drafts:
        raise InputError(
            f"The file ends after line {reader.number}, and its end is missing. Nothing was imported. Copy it again."
        )
    runs = reader.runs()
    staging = MemoryStore()
    await reader.define(staging)
    await staging.insert(runs)
    for draft in reader.drafts:
        findings = await verify_run(staging, draft.row)
        if findings:
            raise InputError(_told(draft, findings[0]))
    await reader.define(store)
    if not await store.insert(runs):
        taken = [run.row.run_id for run in runs if await store.row(run.row.run_id) is not None]
        raise InputError(
            f"Run {(taken or [runs[0].row.run_id])[0]!r} is in this store already, so nothing was imported. Import it "
            "into another store, or remove the run from this one first."
        )
    row = await store.row(runs[0].row.run_id)
    assert row is not None
    return row


def _told(draft: Draft, finding: Finding) -> str:
    line = draft.line if finding.seq is None else draft.lines.get(finding.seq, draft.line)
    told = finding.text.removesuffix(" Nothing was changed.")
    is_newer = any(one.seq == finding.seq and unknown_word(one.body) is not None for one in draft.records)
    return f"Line {line} of the file {'cannot be read' if is_newer else 'is damaged'}. {told} Nothing was imported."
