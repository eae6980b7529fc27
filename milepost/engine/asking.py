"""What the tasks of one run wait for: beginning to wait, and what comes of answers, events, times and deadlines.

A task that waits runs nothing. Whatever it waited for becomes its output in one record, with the message that brought
it, so that nothing before it runs again and nothing is taken twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from milepost.engine.attempts import Outcome
from milepost.engine.errors import AnswerError, DeadlinePassed, MilepostError
from milepost.engine.journal import Kind, Record, Timing, apply
from milepost.engine.mailroom import ANSWER
from milepost.engine.plainly import read_plain
from milepost.engine.plan import Plan
from milepost.engine.position import Position, Task
from milepost.engine.spec import NO_DEFAULT, Expected
from milepost.engine.state import State, StateView
from milepost.engine.stores.store import Message
from milepost.engine.values import Values
from milepost.engine.waits import Dues, Early, How, Settled, Wait, Waiting, wait_id


@dataclass(frozen=True, slots=True)
class TimeUp:
    """What comes out of a race that a time has won. due: that time, aware, in UTC."""

    due: datetime


class Host(Protocol):
    """What waiting needs of the driver of a run."""

    position: Position

    @property
    def is_broken(self) -> bool:
        """Whether nothing may be committed any more."""
        ...

    def settle(self, task: Task, outcome: Outcome) -> None:
        """Deal with a task that has come to its result."""
        ...

    def fail(self, task: Task, outcome: Outcome, error: BaseException) -> None:
        """Deal with a task that failed for good."""
        ...

    def keep(self, record: Record, released: Callable[[], None]) -> None:
        """Commit a record that is applied and routes nothing. released: is called when that is done."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A task that waits for what has come. number: of the wait among those of the task."""

    task: Task
    waiting: Waiting
    number: int

    @property
    def wait(self) -> Wait:
        return self.waiting.waits[self.number]


class Asking:
    """What the tasks of one run wait for. asleep: the tasks that run nothing here until something comes.

    clock: seconds since 1970 UTC.
    """

    def __init__(
        self, plan: Plan, values: Values, state: State, run_id: str, host: Host, clock: Callable[[], float]
    ) -> None:
        self.asleep: set[str] = set()
        self._dues = Dues()
        self._plan = plan
        self._values = values
        self._state = state
        self._run_id = run_id
        self.host = host
        self._clock = clock

    @property
    def _position(self) -> Position:
        return self.host.position

    # --- beginning to wait -------------------------------------------------------------------------------------------

    def begin(self, task: Task, outcome: Outcome) -> None:
        """A task has said what it waits for: an answer by its question, an event by its name, a time."""
        waits: tuple[Wait, ...] = outcome.output
        own = (replace(one, id=wait_id(self._run_id, task.key, number)) for number, one in enumerate(waits))
        record = self._record(Kind.ASKED, task)
        record.waiting = Waiting(waits=tuple(own), since=self._clock())
        record.usage = outcome.usage
        try:
            record.patch = self._state.changes(outcome.view, task, task.node)
        except Exception as error:
            self.host.fail(task, outcome, error)
            return
        apply(self._position, record)
        self._state.commit(outcome.view, record.patch, task.node)
        self._sleep(task.key, record.waiting)
        self.host.keep(record, lambda: self._look_back(task))

    def _sleep(self, key: str, waiting: Waiting) -> None:
        self.asleep.add(key)
        self._dues.add(key, waiting)

    def _look_back(self, task: Task) -> None:
        """Take an event that came before the task waited for it, the oldest first."""
        for message, early in self._position.early.items():
            found = self._waits_for(task, early.event, early.key)
            if found is not None:
                self._take_early(found, message, early)
                return

    def _take_early(self, found: Found, message: str, early: Early) -> None:
        settled = Settled(found.wait.id, "received", early.by, early.at, message)
        given: object = self._values.load(early.ref)
        try:
            value = self._read(found, json_of(given))
        except AnswerError as error:
            self._refuse(found.task, settled, error, early.event, early.key)
            self._look_back(found.task)
            return
        self._settle(found, value, settled, ())

    def inside(self, task: Task, run_id: str, until: float | None) -> None:
        """The run inside a task waits. until: when it goes on by itself, None for never."""
        self.asleep.add(task.key)
        wait = Wait(id=wait_id(self._run_id, task.key, 0), kind="run", until=until, run=run_id)
        known = self._position.waiting.get(task.key)
        if known is not None and known.waits == (wait,):
            return
        record = self._record(Kind.ASKED, task)
        record.waiting = Waiting(waits=(wait,), since=self._clock() if known is None else known.since)
        self._keep(record)

    def wake(self, task: Task) -> None:
        """A task waits no more although nothing that it waited for has come: its body goes on, or begins again."""
        self.asleep.discard(task.key)
        if task.key in self._position.waiting:
            self._keep(self._record(Kind.WOKEN, task))

    def resume(self) -> Iterator[Task]:
        """Go on waiting for what the position says; yield the tasks whose bodies have to look for themselves."""
        for key, waiting in list(self._position.waiting.items()):
            task = self._position.tasks[key]
            if self._plan.nodes[task.node].expects:
                self._sleep(key, waiting)
            else:
                if not waiting.is_inside:  # its node waited for something before it was changed
                    self.wake(task)
                yield task

    # --- what comes --------------------------------------------------------------------------------------------------

    def hear(self, message: Message) -> None:
        """Take in what somebody said to the run: an answer or an event."""
        try:
            given = payload_of(message)
        except ValueError as error:
            self._refuse(None, settled_by(message), error, "", None, (message.id,))
            return
        if message.kind == ANSWER:
            self._answer(message, str(given.get("wait", "")), given.get("value"))
        else:
            self._receive(message, str(given.get("event", "")), given.get("key"), given.get("value"))

    def _answer(self, message: Message, wait: str, value: object) -> None:
        found = self._find(wait)
        settled = Settled(wait, "answered", message.by, message.at)
        if found is None:
            closed = AnswerError(f"question {wait!r}", ["It is not open any more."])
            self._refuse(None, settled, closed, "", None, (message.id,))
            return
        try:
            self._check_in_time(found, message.at)
            checked = self._read(found, json_of(value))
        except AnswerError as error:
            self._refuse(found.task, settled, error, "", None, (message.id,))
            return
        self._settle(found, checked, settled, (message.id,))

    def _receive(self, message: Message, event: str, key: str | None, value: object) -> None:
        for task_key in [key for key in self._position.waiting if key in self.asleep]:
            found = self._waits_for(self._position.tasks[task_key], event, key, message.at)
            if found is not None:
                settled = Settled(found.wait.id, "received", message.by, message.at)
                try:
                    checked = self._read(found, json_of(value))
                except AnswerError as error:
                    self._refuse(found.task, settled, error, event, key, (message.id,))
                else:
                    self._settle(found, checked, settled, (message.id,))
                return
        if self._is_kept(event):
            self._keep_early(message, event, key, value)
        else:
            fault = AnswerError(f"event {event!r}", ["Nothing waits for it, and nothing keeps it for later."])
            self._refuse(None, settled_by(message), fault, event, key, (message.id,))

    def _keep_early(self, message: Message, event: str, key: str | None, value: object) -> None:
        record = Record(self._position.seq + 1, Kind.KEPT, "")
        record.values.append(self._values.keep("event", value, f"event {event!r}"))
        record.event, record.taken = (event, key), (message.id,)
        record.settled = Settled("", "received", message.by, message.at, message.id)
        self._keep(record)

    def _is_kept(self, event: str) -> bool:
        expected = (one for node in self._plan.nodes.values() for one in node.expects)
        return any(one.kind == "event" and one.event == event and one.keeps for one in expected)

    # --- time --------------------------------------------------------------------------------------------------------

    @property
    def due(self) -> float | None:
        """When the first of what is waited for here goes on by itself, seconds since 1970 UTC."""
        first = self._dues.first(self._sleeps_until)
        return None if first is None else first[0]

    def _sleeps_until(self, task: str, until: float) -> bool:
        waiting = self._position.waiting.get(task) if task in self.asleep else None
        return waiting is not None and waiting.until == until and not waiting.is_inside

    def expire(self, now: float) -> None:
        """Go on with what has waited until its time, or its deadline. now: seconds since 1970 UTC."""
        while (first := self._dues.first(self._sleeps_until)) is not None and first[0] <= now:
            until, key = first
            waiting = self._position.waiting[key]
            number = next(number for number, one in enumerate(waiting.waits) if one.until == until)
            self._expire(Found(self._position.tasks[key], waiting, number), until)

    def _expire(self, found: Found, until: float) -> None:
        expected, due = self._expected(found), datetime.fromtimestamp(until, UTC)
        if expected.kind == "time":
            self._settle(found, TimeUp(due), Settled(found.wait.id, "elapsed", None, until), ())
        elif expected.default is not NO_DEFAULT:
            self._settle(found, expected.default, Settled(found.wait.id, "expired", None, until), ())
        else:
            settled = Settled(found.wait.id, "expired", None, until)
            self._end(found, Outcome(None, StateView.nothing(), DeadlinePassed(found.task.node, due), settled=settled))

    # --- the parts ---------------------------------------------------------------------------------------------------

    def _find(self, wait: str) -> Found | None:
        """Return the task that waits for the answer to a question."""
        for key, waiting in self._position.waiting.items():
            for number, one in enumerate(waiting.waits):
                if one.id == wait and one.kind == "ask" and key in self.asleep:
                    return Found(self._position.tasks[key], waiting, number)
        return None

    def _waits_for(self, task: Task, event: str, key: str | None, at: float | None = None) -> Found | None:
        """Tell for which of its waits a task would take an event. at: when it was sent, to be in time."""
        waiting = self._position.waiting.get(task.key)
        for number, one in enumerate(() if waiting is None else waiting.waits):
            is_late = at is not None and one.until is not None and at > one.until
            is_it = one.kind == "event" and one.event == event and one.key in (None, key)
            if waiting is not None and is_it and not is_late:
                return Found(task, waiting, number)
        return None

    def _expected(self, found: Found) -> Expected:
        return self._plan.nodes[found.task.node].expects[found.number]

    def _read(self, found: Found, text: str) -> Any:
        """Return what has come as the node declares it. Raises AnswerError, with every fault."""
        expected, wait = self._expected(found), found.wait
        is_question = wait.kind == "ask"
        what = f"question {wait.id!r} of node {found.task.node!r}" if is_question else f"event {wait.event!r}"
        value = read_plain(text, expected.type, what)
        if wait.choices and value not in [read_plain(one, expected.type, what) for one in wait.choices]:
            raise AnswerError(what, [f"It is none of the choices, which are {', '.join(wait.choices)}."])
        try:
            self._values.keep(f"out:{found.task.node}", value, what)
        except MilepostError as error:
            raise AnswerError(what, [str(error)]) from error
        return value

    def _check_in_time(self, found: Found, at: float) -> None:
        until = found.wait.until
        if until is not None and at > until:
            due = datetime.fromtimestamp(until, UTC)
            raise AnswerError(f"question {found.wait.id!r}", [f"Its deadline was {due:%Y-%m-%d %H:%M:%S} UTC."])

    def _settle(self, found: Found, value: object, settled: Settled, taken: tuple[str, ...]) -> None:
        self._end(found, Outcome(value, StateView.nothing(), settled=settled, taken=taken))

    def _end(self, found: Found, outcome: Outcome) -> None:
        """Have a task end that has waited."""
        self.asleep.discard(found.task.key)
        outcome.view = self._state.view(lambda: False)
        outcome.timing = Timing(found.waiting.since, max(self._clock(), found.waiting.since), 1)
        self.host.settle(found.task, outcome)

    def _refuse(
        self,
        task: Task | None,
        settled: Settled,
        error: Exception,
        event: str,
        key: str | None,
        taken: tuple[str, ...] = (),
    ) -> None:
        """Note that something does not fit what it was said for."""
        record = Record(self._position.seq + 1, Kind.REFUSED, "") if task is None else self._record(Kind.REFUSED, task)
        record.settled, record.error, record.taken = settled, str(error), taken
        record.event = (event, key) if event else None
        self._keep(record)

    def _record(self, kind: Kind, task: Task) -> Record:
        return Record(self._position.seq + 1, kind, task.key, task.node)

    def _keep(self, record: Record) -> None:
        if self.host.is_broken:
            return
        apply(self._position, record)
        self.host.keep(record, lambda: None)


def expected_of(plan: Plan, position: Position, task: str, wait: str) -> Expected | None:
    """Return what the code says of something that a task waits for, None when it does not."""
    waiting = position.waiting.get(task)
    numbers = {} if waiting is None else {one.id: number for number, one in enumerate(waiting.waits)}
    expects = plan.nodes[position.tasks[task].node].expects if wait in numbers else ()
    return expects[numbers[wait]] if expects else None


def settled_by(message: Message, how: How = "received") -> Settled:
    """Return who said something, and when."""
    return Settled("", how, message.by, message.at)


def payload_of(message: Message) -> Mapping[str, Any]:
    """Return what a message says. Raises ValueError: it is not written as ours are."""
    from pydantic_core import from_json

    given: object = from_json(message.payload)
    if not isinstance(given, Mapping):
        raise ValueError(f"message {message.id!r} says {message.payload[:40]!r}, which is no answer and no event")
    found: Mapping[str, Any] = given  # pyright: ignore[reportUnknownVariableType]  (what JSON has)
    return found


def json_of(value: object) -> str:
    """Return plain data as JSON text."""
    from pydantic_core import to_json

    return to_json(value).decode()
