"""What runs wait for, as plain values, and how it is found by what people call it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from milepost.engine.errors import UnknownQuestion
from milepost.engine.mailroom import ANSWER
from milepost.engine.position import Position
from milepost.engine.stores.store import Message
from milepost.engine.trace import moment
from milepost.engine.waits import Wait, Waiting, WaitKind

LEAST_PREFIX = 3
"""Characters that the beginning of an id has at least, where it stands for the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWait:
    """Something that a run waits for.

    run_id: the run that waits, which may be inside another. id: names it in every run of the store. node, task (its
    key): what waits. kind: a person's answer, an event, a time. text: of the question. choices: what may be answered,
    JSON texts. details: what whoever answers should know, JSON text, "" for nothing. schema: the JSON schema of the
    answer or of what the event carries, JSON text, "" for none. event, key: its name, and what it is about. asked:
    since when. until: the time, or the deadline. Times are aware, in UTC. refused: how many answers did not fit.
    answered, by: when an answer came that the run has not taken yet, as nobody drives it, and whose that is.
    """

    run_id: str
    workflow: str
    id: str
    node: str
    task: str
    kind: WaitKind
    asked: datetime
    until: datetime | None
    text: str = ""
    choices: tuple[str, ...] = ()
    details: str = ""
    schema: str = ""
    event: str = ""
    key: str | None = None
    refused: int = 0
    answered: datetime | None = None
    by: str | None = None


class Standing(NamedTuple):
    """A run, by what it is called, its workflow, and where it stands."""

    run_id: str
    workflow: str
    position: Position

    def question(self, wait_id: str) -> OpenWait | None:
        """Return its open question of this id. Makes nothing of its other questions, however many are open."""
        for key, waiting in self.position.waiting.items():
            for wait in waiting.waits:
                if wait.id == wait_id and wait.kind == "ask":
                    return self._open(key, waiting, wait)
        return None

    def called(self, name: str, *, by_id: bool) -> list[OpenWait]:
        """Return its open questions whose ids begin so, or whose node is called so."""
        tasks, length = self.position.tasks, len(name)
        return [
            self._open(key, waiting, wait)
            for key, waiting in self.position.waiting.items()
            for wait in waiting.waits
            if wait.kind == "ask" and (wait.id[:length] if by_id else tasks[key].node) == name
        ]

    def _open(self, task: str, waiting: Waiting, wait: Wait) -> OpenWait:
        return _open(self.run_id, self.workflow, self.position.tasks[task].node, task, waiting, wait)


def open_waits(run_id: str, workflow: str, position: Position) -> Iterator[OpenWait]:
    """Yield what a run waits for itself, in the order that it began to."""
    for key, waiting in position.waiting.items():
        for wait in waiting.waits:
            if wait.kind != "run":
                yield _open(run_id, workflow, position.tasks[key].node, key, waiting, wait)


def _open(run_id: str, workflow: str, node: str, task: str, waiting: Waiting, wait: Wait) -> OpenWait:
    return OpenWait(
        run_id=run_id,
        workflow=workflow,
        id=wait.id,
        node=node,
        task=task,
        kind=wait.kind,
        asked=moment(waiting.since),
        until=None if wait.until is None else moment(wait.until),
        text=wait.text,
        choices=wait.choices,
        details=wait.details,
        schema=wait.schema,
        event=wait.event,
        key=wait.key,
        refused=wait.refused,
    )


def answer_id(wait: OpenWait) -> str:
    """Return the id of the message that answers a question: there can be only one of it."""
    return f"{ANSWER} {wait.id} {wait.asked.timestamp():f} {wait.refused}"


def with_answers(waits: Sequence[OpenWait], inbox: Sequence[Message]) -> list[OpenWait]:
    """Return what a run waits for with the answers that wait in its inbox."""
    given = {message.id: message for message in inbox if message.kind == ANSWER}
    if not given:
        return list(waits)
    found: list[OpenWait] = []
    for wait in waits:
        message = given.get(answer_id(wait)) if wait.kind == "ask" else None
        found.append(wait if message is None else replace(wait, answered=moment(message.at), by=message.by))
    return found


def inside(position: Position) -> Iterator[str]:
    """Yield the ids of the runs inside a run that it waits for."""
    for waiting in position.waiting.values():
        for wait in waiting.waits:
            if wait.kind == "run":
                yield wait.run


def is_called(wait: str, node: str, name: str) -> bool:
    """Tell whether people may call a question so: by its id, the beginning of that, or its node."""
    return name == node or (len(name) >= LEAST_PREFIX and wait.startswith(name))


def find_question(run_id: str, name: str, standings: Sequence[Standing]) -> OpenWait:
    """Return the open question that people call so: by its id, the beginning of that, or its node if that is the only.

    standings: of the run and those inside it; up to the one that asks it is enough, if the name is an id. Raises
    UnknownQuestion: there is none, or there are several.
    """
    for standing in reversed(standings):
        found = standing.question(name)
        if found is not None:
            return found
    fits: list[OpenWait] = []
    if len(name) >= LEAST_PREFIX:
        fits = [one for standing in standings for one in standing.called(name, by_id=True)]
    fits = fits or [one for standing in standings for one in standing.called(name, by_id=False)]
    if len(fits) == 1:
        return fits[0]
    why = "there is no such open question." if not fits else f"{len(fits)} open questions are called so."
    known = fits or [one for standing in standings for one in open_waits(*standing) if one.kind == "ask"]
    raise UnknownQuestion(run_id, name, why, [(one.id, one.node) for one in known])


def names_of(position: Position) -> Iterator[str]:
    """Yield what a run waits for, in words, one for each thing."""
    for key, waiting in position.waiting.items():
        node = position.tasks[key].node
        for wait in waiting.waits:
            match wait.kind:
                case "ask":
                    yield f"an answer to question {wait.id} of node {node!r}"
                case "event":
                    about = "" if wait.key is None else f" about {wait.key!r}"
                    yield f"event {wait.event!r}{about}"
                case "time":
                    yield f"a time at node {node!r}"
                case "run":
                    yield f"the run inside node {node!r}"
