"""What differs between two runs, or two checkpoints of one, as a plain value with a text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from milepost.engine.json_changes import JsonChange
from milepost.engine.trace import Edit, RunStatus, TaskStatus

MOST: Final = 20
"""How many lines a part of the text has."""
WIDEST: Final = 60
"""How many characters of a value the text shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run has cost up to a checkpoint, with the runs inside it that were read.

    requests, input_tokens, output_tokens: of its model calls. money: US dollars, None when nothing has a known price.
    attempts: of all tasks. seconds: that tasks ran, in all.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    money: float | None = None
    attempts: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two that are compared. seq: the checkpoint. status, error: how the run stood then.

    edits: what was changed by hand up to there.
    """

    run_id: str
    seq: int
    status: RunStatus
    error: str | None
    edits: tuple[Edit, ...]
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A task: the `visit`-th of its node, counted in its run. Equal causes have equal keys in all runs."""

    node: str
    visit: int
    task: str

    def __str__(self) -> str:
        return f"{self.node}#{self.visit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherOutcome:
    """A task of both that came to something else. one, other: its output as JSON text, or what it failed with."""

    visit: Visit
    statuses: tuple[TaskStatus, TaskStatus]
    one: str | None
    other: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherChoice:
    """A decision that did not lead the same ways. one, other: how often to which node."""

    node: str
    one: Mapping[str, int]
    other: Mapping[str, int]


def _no_children() -> Mapping[str, Difference]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs between two runs, or two checkpoints of one.

    shared: how many checkpoints, from the first on, are the very same ones. parted: the first task, in the order in
    which those of `one` finished, that only one of them has run or that came to something else; None for none.
    only_one, only_other: tasks that only one of them has run. outcomes: tasks of both that came to something else.
    choices: decisions. state, output: part by part. children: by the key of a task of both, of the runs that it drove.
    """

    one: Side
    other: Side
    shared: int
    parted: Visit | None
    only_one: tuple[Visit, ...]
    only_other: tuple[Visit, ...]
    outcomes: tuple[OtherOutcome, ...]
    choices: tuple[OtherChoice, ...]
    state: tuple[JsonChange, ...]
    output: tuple[JsonChange, ...]
    children: Mapping[str, Difference] = field(default_factory=_no_children)

    @property
    def is_empty(self) -> bool:
        """Whether the two did the same and came to the same, whatever it cost."""
        parts = (self.only_one, self.only_other, self.outcomes, self.choices, self.state, self.output)
        same = self.one.status == self.other.status and not any(parts)
        return same and all(child.is_empty for child in self.children.values())

    def __str__(self) -> str:
        return "\n".join(_lines(self))


# --- for people -------------------------------------------------------------------------------------------------------


def _lines(found: Difference) -> Iterator[str]:
    pending = [(found, "")]
    while pending:
        each, inside = pending.pop(0)
        if inside:
            yield ""
        yield f"{inside}- {_told(each.one)}"
        yield f"{inside}+ {_told(each.other)}"
        yield from (f"{inside}{line}" for line in _parts(each))
        differing = [child for child in each.children.values() if not child.is_empty]
        pending = [*((child, f"{inside}  ") for child in differing), *pending]


def _told(side: Side) -> str:
    error = f": {side.error.splitlines()[0]}" if side.error else ""
    return f"run {side.run_id}, checkpoint {side.seq}, {side.status}{error}"


def _parts(found: Difference) -> Iterator[str]:
    if found.shared:
        first = "checkpoint is" if found.shared == 1 else f"{found.shared} checkpoints are"
        yield f"The first {first} shared."
    for mark, side in zip("-+", (found.one, found.other), strict=True):
        yield from (f"{mark} {_edit(edit)}" for edit in side.edits if edit.seq > found.shared)
    if found.parted is not None:
        yield f"They part at {found.parted}."
    path = [f"- {visit}" for visit in found.only_one] + [f"+ {visit}" for visit in found.only_other]
    yield from _part("Only one ran", path)
    yield from _part("Other outcomes", [line for outcome in found.outcomes for line in _outcome(outcome)])
    yield from _part("Other decisions", [line for choice in found.choices for line in _choice(choice)])
    yield from _part("State", [line for change in found.state for line in change_lines(change)])
    yield from _part("Output", [line for change in found.output for line in change_lines(change)])
    cost = list(_cost(found.one.cost, found.other.cost))
    if found.is_empty:
        yield "Nothing differs but what it cost." if cost else "Nothing differs."
    yield from _part("Cost", cost)


def _edit(edit: Edit) -> str:
    inputs = "" if not edit.inputs else f"{len(edit.inputs)} {'input' if len(edit.inputs) == 1 else 'inputs'}"
    fields = f"state ({', '.join(edit.fields)})" if edit.fields else ""
    return f"changed by hand at checkpoint {edit.seq}: {' and '.join(filter(None, (fields, inputs)))}"


def _part(heading: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{heading}:"
        yield from (f"  {line}" for line in lines[:MOST])
    if len(lines) > MOST:
        yield f"  ... and {len(lines) - MOST} more"


def _outcome(outcome: OtherOutcome) -> Iterator[str]:
    for mark, status, text in zip("-+", outcome.statuses, (outcome.one, outcome.other), strict=True):
        yield f"{mark} {outcome.visit} {status}{'' if text is None else f': {_short(text)}'}"


def _choice(choice: OtherChoice) -> Iterator[str]:
    for mark, ways in zip("-+", (choice.one, choice.other), strict=True):
        told = ", ".join(f"{target} ×{count}" if count > 1 else target for target, count in ways.items())
        yield f"{mark} {choice.node}: {told or 'not reached'}"


def change_lines(change: JsonChange) -> Iterator[str]:
    """Yield how a part was, after a minus, and how it is, after a plus; nothing for where it is not there."""
    for mark, text in zip("-+", (change.one, change.other), strict=True):
        if text is not None:
            yield f"{mark} {change.path}{' = ' if change.path else ''}{_short(text)}"


def _cost(one: Cost, other: Cost) -> Iterator[str]:
    for name in ("requests", "input_tokens", "output_tokens", "attempts"):
        before, after = getattr(one, name), getattr(other, name)
        if before != after:
            yield f"{name.replace('_', ' ')}: {before} → {after}"
    if one.money != other.money:
        told = ("unknown" if money is None else f"${money:.4f}" for money in (one.money, other.money))
        yield f"money: {' → '.join(told)}"
    if f"{one.seconds:.3f}" != f"{other.seconds:.3f}":
        yield f"seconds: {one.seconds:.3f} → {other.seconds:.3f}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"
