"""Wait nodes: they wait for a person's answer, for an event from outside, for a time, or for the first of several."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Final, Generic, TypeVar

import anyio

from milepost.engine.asking import TimeUp
from milepost.engine.assignability import union_of
from milepost.engine.current import attempt_at
from milepost.engine.declared import Declaration, DeclaredStep
from milepost.engine.errors import AnswerError, WorkflowError
from milepost.engine.hints import Names, plain_function, read_hints
from milepost.engine.plainly import check_value, plain_text, schema_of
from milepost.engine.spec import NO_DEFAULT, UNKNOWN, Expected, NodeKind, NodeSpec
from milepost.engine.typed import StepContext
from milepost.engine.waits import Wait
from milepost.nodes.function import Body, Options, as_coroutine, nothing

StateT = TypeVar("StateT")
DepsT = TypeVar("DepsT")
InputT = TypeVar("InputT", contravariant=True)
OutputT = TypeVar("OutputT", covariant=True)
WonT = TypeVar("WonT", covariant=True)
AnswerT = TypeVar("AnswerT")
AskedT = TypeVar("AskedT")

AnyContext = StepContext[Any, Any, Any]
Time = timedelta | datetime | float
"""How long from now (a `timedelta`, or seconds), or until when (an aware `datetime`)."""
TimeOrMaker = Time | Callable[[AnyContext], Time]
"""A time, or a function of the step context that returns one."""

LAST_SECOND: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""The last time that can be waited for, seconds since 1970 UTC."""

NOTHING_WAITS: Final = (
    "Only Milepost can wait at node {!r}. Run the workflow with workflow.run() or an Engine, not with pydantic-graph's "
    "own executor."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person is asked.

    text: the question. choices: what may be answered, values of the answer's type; none for anything of the type.
    details: what whoever answers should know: a model, or plain data that JSON has.
    """

    text: str
    choices: Sequence[object] = ()
    details: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing that a node waits for.

    expected: what is known of it. input_type: of the node. make: says what to wait for, given the step context and the
    time it is, seconds since 1970 UTC.
    """

    expected: Expected
    input_type: object
    make: Callable[[AnyContext, float], Awaitable[Wait]]


class WaitStep(DeclaredStep[StateT, DepsT, InputT, OutputT], Generic[StateT, DepsT, InputT, OutputT, WonT]):
    """A step that waits. parts: for what, the first of several.

    To type checkers it also knows what it gives where it wins a race: a time gives a `TimeUp`.
    """

    parts: tuple[Part, ...]
    output_type: object

    def spec(self, later: Names | None = None) -> NodeSpec:
        declared = super().spec(later)
        is_time = declared.kind is NodeKind.SLEEP
        taken = declared.input_type
        if taken is UNKNOWN and len(self.parts) > 1:
            known = [part.input_type for part in self.parts if part.input_type is not UNKNOWN]
            taken = known[0] if known else UNKNOWN
        return replace(
            declared,
            input_type=taken,
            output_type=taken if is_time else self.output_type,
            doc="" if self.declared.function is nothing else declared.doc,
            expects=tuple(part.expected for part in self.parts),
        )


def wait_step(
    kind: NodeKind,
    name: str,
    function: Body,
    parts: Iterable[Part],
    output_type: object,
    options: Options,
) -> WaitStep[Any, Any, Any, Any, Any]:
    """Make a node that waits. function: the author's own, whose hints and docstring describe it."""
    kept = tuple(parts)

    async def call(ctx: AnyContext) -> Any:
        attempt = attempt_at(name)
        if attempt is None:
            return await wait_alone(name, kept, ctx)
        now = attempt.clock()
        return tuple([await part.make(ctx, now) for part in kept])

    declared: Declaration = replace(options, node_id=name).declare(kind, function)
    step: WaitStep[Any, Any, Any, Any, Any] = WaitStep(id=name, call=call, declared=declared)
    step.parts, step.output_type = kept, output_type
    check_policy(name, step)
    options.announce(step)
    return step


async def wait_alone(name: str, parts: Sequence[Part], ctx: AnyContext) -> Any:
    """Wait where Milepost does not run the node: a time can be waited for by anybody."""
    if len(parts) != 1 or parts[0].expected.kind != "time":
        raise WorkflowError(NOTHING_WAITS.format(name))
    now = datetime.now(UTC).timestamp()
    wait = await parts[0].make(ctx, now)
    await anyio.sleep(max(0.0, (wait.until or now) - now))
    return ctx.inputs


def check_policy(name: str, step: WaitStep[Any, Any, Any, Any, Any]) -> None:
    """Refuse what makes no sense for a node that waits. Raises WorkflowError."""
    policy = step.declared.policy
    for part, why in (
        ("cache", "an answer is for one run"),
        ("at_most_once", "it waits in one record, however often its process dies"),
    ):
        if getattr(policy, part):
            raise WorkflowError(f"Node {name!r} waits, so it can have no {part}: {why}. Remove it.")


# --- times ------------------------------------------------------------------------------------------------------------


def until_of(given: object, name: str, now: float) -> float:
    """Return when a time is, seconds since 1970 UTC. name: of the node. Raises WorkflowError: it is no time."""
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise WorkflowError(
                f"Node {name!r} waits until {given!r}, which has no time zone. Write e.g. datetime(..., tzinfo=UTC)."
            )
        return max(0.0, given.timestamp())
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not isfinite(seconds):
        raise WorkflowError(
            f"Node {name!r} waits until {given!r}, which is no time. Give a timedelta, seconds, or an aware datetime."
        )
    if now + seconds > LAST_SECOND:
        raise WorkflowError(f"Node {name!r} waits until {given!r} from now, which is after the year 9999. Wait less.")
    return max(0.0, now + seconds)


def maker_of(given: object, name: str, what: str) -> Callable[[AnyContext, float], Awaitable[float]]:
    """Return what tells a time, given the step context and the time now. what: the option, for the error.

    Raises WorkflowError: what was given can never tell one.
    """
    if not callable(given):
        until_of(given, name, 0.0)
        return _constant(given, name)
    if isinstance(given, type):
        raise WorkflowError(f"Node {name!r}: {what}={given!r} is no time. Give one, or a function that returns one.")
    ask = as_coroutine(name, given)

    async def make(ctx: AnyContext, now: float) -> float:
        return until_of(await ask(ctx), name, now)

    return make


def _constant(given: object, name: str) -> Callable[[AnyContext, float], Awaitable[float]]:
    async def make(ctx: AnyContext, now: float) -> float:
        return until_of(given, name, now)

    return make


# --- the three faces --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When a node waits no more, and what flows on then. default: NO_DEFAULT to fail."""

    until: TimeOrMaker | None = None
    default: object = NO_DEFAULT

    def check(self, name: str, type_: object) -> None:
        """Raises WorkflowError: a default that could never be taken, or of another type than what is waited for."""
        if self.default is NO_DEFAULT:
            return
        if self.until is None:
            raise WorkflowError(
                f"Node {name!r} has default= and no deadline=, so it would never be taken. Give both, or neither."
            )
        try:
            check_value(self.default, type_, f"default={self.default!r}")
        except AnswerError as fault:
            raise WorkflowError(f"Node {name!r}: default={self.default!r} is not what it waits for: {fault}") from fault

    def maker(self, name: str) -> Callable[[AnyContext, float], Awaitable[float | None]]:
        if self.until is not None:
            return maker_of(self.until, name, "deadline")

        async def never(ctx: AnyContext, now: float) -> None:
            return None

        return never


@dataclass(frozen=True, slots=True)
class AskDecorator(Generic[StateT, DepsT, AskedT]):
    """Makes a node that asks a person, of the function that makes the question. answer: the type of the answer."""

    answer: object
    deadline: Deadline
    options: Options

    def __call__(
        self, function: Callable[[StepContext[StateT, DepsT, AnswerT]], str | Question | Awaitable[str | Question]], /
    ) -> WaitStep[StateT, DepsT, AnswerT, AskedT, AskedT]:
        name, answer = self.options.id_for(function), self.answer
        ask, until = as_coroutine(name, function), self.deadline.maker(name)
        self.deadline.check(name, answer)

        async def make(ctx: AnyContext, now: float) -> Wait:
            question = as_question(await ask(ctx), name)
            what = f"the question of node {name!r}"
            return Wait(
                id="",
                kind="ask",
                until=await until(ctx, now),
                text=question.text,
                choices=tuple(plain_text(one, what) for one in question.choices),
                details="" if question.details is None else plain_text(question.details, what),
                schema=schema_of(answer),
            )

        taken = read_hints(function, self.options.names).input_type
        expected = Expected(kind="ask", type=answer, default=self.deadline.default)
        part = Part(expected=expected, input_type=taken, make=make)
        return wait_step(NodeKind.ASK, name, function, [part], answer, self.options)


def as_question(given: object, name: str) -> Question:
    """Return the question that an author's function has made. Raises WorkflowError: it has made none."""
    question = Question(text=given) if isinstance(given, str) else given
    if not isinstance(question, Question):
        raise WorkflowError(f"Node {name!r} asks {given!r}, which is no question. Return text, or a Question.")
    if not question.text.strip():
        raise WorkflowError(f"Node {name!r} asks nothing: its question has no text.")
    return question


def event_step(
    event: object,
    type_: object,
    key: Callable[[AnyContext], str | None] | None,
    keeps: bool,
    deadline: Deadline,
    options: Options,
) -> WaitStep[Any, Any, Any, Any, Any]:
    """Make a node that waits for an event from outside. Raises WorkflowError: it could never come."""
    if not isinstance(event, str) or not event.strip():
        raise WorkflowError(f"{event!r} is no name of an event. Give text, e.g. wf.wait_for('paid', Payment).")
    name = options.node_id or event
    if key is not None and not callable(key):
        raise WorkflowError(f"Node {name!r}: key={key!r} is no function of the step context. Write key=lambda ctx: ...")
    deadline.check(name, type_)
    until, find = deadline.maker(name), None if key is None else as_coroutine(name, key)

    async def make(ctx: AnyContext, now: float) -> Wait:
        about: object = None if find is None else await find(ctx)
        if about is not None and not isinstance(about, str):
            raise WorkflowError(f"Node {name!r}: key= gave {about!r}, and a key is text.")
        schema = schema_of(type_)
        return Wait(id="", kind="event", until=await until(ctx, now), event=event, key=about, schema=schema)

    expected = Expected(kind="event", type=type_, default=deadline.default, event=event, keeps=keeps)
    part = Part(expected=expected, input_type=UNKNOWN, make=make)
    return wait_step(NodeKind.WAIT, name, nothing, [part], type_, options)


def time_step(until: object, options: Options) -> WaitStep[Any, Any, Any, Any, Any]:
    """Make a node that waits for a time. What came in flows on. Raises WorkflowError: it is no time."""
    is_function = callable(until) and not isinstance(until, type)
    function: Body = until if is_function and callable(until) else nothing
    known = getattr(plain_function(function), "__name__", "") if is_function else ""
    name = options.node_id or (known if known not in ("", "<lambda>", "__call__") else "sleep")
    tell = maker_of(until, name, "until")

    async def make(ctx: AnyContext, now: float) -> Wait:
        return Wait(id="", kind="time", until=await tell(ctx, now))

    taken = read_hints(function, options.names).input_type if is_function else UNKNOWN
    part = Part(expected=Expected(kind="time"), input_type=taken, make=make)
    return wait_step(NodeKind.SLEEP, name, function, [part], taken, options)


def as_wait_step(given: object) -> WaitStep[Any, Any, Any, Any, Any] | None:
    """Return what was given if it is a node that waits."""
    return given if isinstance(given, WaitStep) else None  # pyright: ignore[reportUnknownVariableType]  (of anything)


def race_step(
    runners: Sequence[object], options: Options, withdraw: Callable[[object], None]
) -> WaitStep[Any, Any, Any, Any, Any]:
    """Make a node that waits for the first of what other wait nodes wait for. withdraw: those are no nodes any more.

    Raises WorkflowError: there is nothing to race.
    """
    steps = [step for step in map(as_wait_step, runners) if step is not None]
    wrong = [one for one in runners if as_wait_step(one) is None]
    if wrong or len(steps) < 2:
        given = f"{wrong[0]!r} is none" if wrong else f"there is {len(steps)}"
        raise WorkflowError(
            f"A race is between two or more nodes that wait, and {given}. Give what @wf.ask, wf.wait_for and wf.sleep "
            "return, e.g. wf.race(approve, wf.sleep(timedelta(days=3)))."
        )
    for step in steps:
        withdraw(step)
    name = options.node_id or "_or_".join(str(step.id) for step in steps)
    parts = [part for step in steps for part in step.parts]
    won: list[object] = [TimeUp if part.expected.kind == "time" else part.expected.type for part in parts]
    return wait_step(NodeKind.RACE, name, nothing, parts, union_of(won), options)
