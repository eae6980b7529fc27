"""What a run waits for, as the commands say it, with the command that has it go on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from milepost.cli.stores import DEFAULT_STORE

if TYPE_CHECKING:
    from milepost.engine.questions import OpenWait
    from milepost.engine.stored_runs import RunSummary

SIGNS: Final = {"ask": "▽", "event": "▱", "time": "△", "run": "▣"}
"""The shapes that wait nodes have in pictures."""
SHORT: Final = 8
"""How much of the id of a question a command shows: enough to name it among all that are open at a time."""
WIDEST: Final = 300
"""How many characters of a question a line shows."""


def describe_wait(wait: OpenWait, store: str) -> Mapping[str, object]:
    """Return what a run waits for as JSON shows it. command: what makes the run go on, None for a time."""
    return {
        "run_id": wait.run_id,
        "workflow": wait.workflow,
        "id": wait.id,
        "kind": wait.kind,
        "node": wait.node,
        "task": wait.task,
        "text": wait.text or None,
        "choices": [json.loads(one) for one in wait.choices],
        "details": json.loads(wait.details) if wait.details else None,
        "schema": json.loads(wait.schema) if wait.schema else None,
        "event": wait.event or None,
        "key": wait.key,
        "asked": wait.asked.isoformat(timespec="milliseconds"),
        "until": None if wait.until is None else wait.until.isoformat(timespec="milliseconds"),
        "refused": wait.refused,
        "answered": None if wait.answered is None else wait.answered.isoformat(timespec="milliseconds"),
        "by": wait.by,
        "command": command_for(wait, wait.run_id, store),
    }


def command_for(wait: OpenWait, run: str, store: str) -> str | None:
    """Return the command by which somebody has a run go on that waits for this, None for a time. run: its id.

    Without an answer, `milepost answer` asks for it.
    """
    if wait.kind == "ask":
        return command("answer", run, wait.id[:SHORT], store=store)
    if wait.kind == "event":
        key = f" --key {shlex.quote(wait.key)}" if wait.key is not None else ""
        return f"{command('send', run, wait.event)} {placeholder(wait)}{key}{_elsewhere(store)}"
    return None


def command(*words: str, store: str = DEFAULT_STORE) -> str:
    """Return a command as it has to be typed. store: is named where it is not the usual one."""
    return shlex.join(["milepost", *words]) + _elsewhere(store)


def resume_command(summary: RunSummary, target: str | None, store: str) -> str:
    """Return the command that goes on with a run. target: where its workflow is, None if nobody has said."""
    from milepost.cli.target import registered

    words = [target] if target else [] if summary.workflow in registered() else ["TARGET"]
    return command("resume", summary.run_id, *words, store=store)


def _elsewhere(store: str) -> str:
    return "" if store == DEFAULT_STORE else f" --store {shlex.quote(store)}"


def placeholder(wait: OpenWait) -> str:
    """Return what stands in a command for what is answered or sent: the choices, where there are few."""
    from milepost.cli.schemas import Schema

    schema = Schema.read(wait.schema)
    choices = [json.loads(one) for one in wait.choices] or schema.choices
    if choices and schema.is_text:
        words = "|".join(shlex.quote(str(one)) for one in choices)
        return words if len(words) <= 60 else "CHOICE"
    if schema.is_text:
        return "TEXT"
    return {"boolean": "true|false", "null": "null", "integer": "NUMBER", "number": "NUMBER"}.get(schema.type, "JSON")


def span(wait: OpenWait, now: datetime) -> str:
    """Say since when something is waited for, and until when."""
    from milepost.visualize.wording import duration

    since = f"open {duration(max(0.0, (now - wait.asked).total_seconds()))}"
    until = "" if wait.until is None else f"until {moment(wait.until)}{_ahead(wait.until, now)}"
    return until if wait.kind == "time" else ", ".join(part for part in (since, until) if part)


def _ahead(until: datetime, now: datetime) -> str:
    from milepost.visualize.wording import duration

    seconds = (until - now).total_seconds()
    return f" (in {duration(seconds)})" if seconds > 0 else " (now)"


def moment(time: datetime) -> str:
    """Return a time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def what_is_awaited(wait: OpenWait) -> str:
    """Say in a line what is waited for: the text of the question, the name of the event."""
    text = " ".join(wait.text.split())
    match wait.kind:
        case "ask":
            return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
        case "event":
            return f"event {wait.event!r}" + ("" if wait.key is None else f" about {wait.key!r}")
        case _:
            return "a time"


def wait_lines(waits: Sequence[OpenWait], run: str, now: datetime) -> Iterator[str]:
    """Yield what a run waits for, a line for each thing. run: its id, to tell the runs inside it apart."""
    for wait in waits:
        of = wait.node if wait.run_id == run else f"{wait.node} of run {wait.run_id}"
        parts = [f"question {wait.id[:SHORT]}, {placeholder(wait)}"] if wait.kind == "ask" else []
        parts.append(span(wait, now))
        if wait.answered is not None:
            parts.append(f"answered{f' by {wait.by}' if wait.by else ''}, not taken yet")
        if wait.refused:
            parts.append("1 answer did not fit" if wait.refused == 1 else f"{wait.refused} answers did not fit")
        yield f"{SIGNS[wait.kind]} {of}: {what_is_awaited(wait)} ({', '.join(parts)})"


def next_commands(waits: Sequence[OpenWait], run: str, store: str) -> Iterator[str]:
    """Yield the commands by which people say what a run waits for. run: its id."""
    lines = [command_for(wait, run, store) for wait in waits if wait.answered is None]
    yield from dict.fromkeys(line for line in lines if line is not None)


def headline(waits: Sequence[OpenWait], run: str) -> str:
    """Say in a sentence that a run waits, and for what. run: its id."""
    kinds = [wait.kind for wait in waits]
    parts = [
        one if kinds.count(kind) == 1 else f"{kinds.count(kind)} {several}"
        for kind, one, several in (("ask", "an answer", "answers"), ("event", "an event", "events"))
        if kind in kinds
    ]
    if not parts:
        parts = ["a time" if kinds else "something outside"]
    return f"Run {run!r} waits for {' and '.join(parts)}."
