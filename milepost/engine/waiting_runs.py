"""Speaking to runs that wait: what they wait for, answers to their questions, and events. An answer is one insert."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from uuid import uuid4

from milepost.engine.care import CaredRuns
from milepost.engine.children import name_of
from milepost.engine.definition import DefinedNode, Definition, describe
from milepost.engine.errors import (
    AlreadyAnswered,
    AnswerError,
    InputError,
    MilepostError,
    RunCancelled,
    UnknownQuestion,
    UnknownRun,
)
from milepost.engine.executor import Driver
from milepost.engine.facilities import Live
from milepost.engine.findings import did_you_mean, listed
from milepost.engine.mailroom import ANSWER, EVENT
from milepost.engine.plainly import check_schema, plain_text, read_plain
from milepost.engine.questions import (
    OpenWait,
    Standing,
    answer_id,
    find_question,
    inside,
    is_called,
    open_waits,
    with_answers,
)
from milepost.engine.recollection import Recollection
from milepost.engine.spec import Expected
from milepost.engine.stores.store import Message, RunRow, Store
from milepost.engine.trace import UNFINISHED, moment
from milepost.engine.waits import WaitKind


class WaitingRuns(CaredRuns):
    """The runs of a store, or of an engine without one, for everybody who has something to say to them."""

    _live: Mapping[str, Live]

    def __init__(self, store: Store | None, clock: Callable[[], float]) -> None:
        super().__init__(store, clock)
        self._recollection = Recollection()

    async def waits(
        self, run_id: str | None = None, *, kind: WaitKind | None = None, limit: int | None = None
    ) -> list[OpenWait]:
        """Return what runs wait for: a run and those inside it, or all of the store, the run created last first.

        kind: only answers ("ask"), events ("event") or times ("time"). limit: of runs that are read, where no run is
        named. Needs nothing of their code. Raises UnknownRun, BrokenJournal, StoreError.
        """
        if self._store is None:
            found = [one for live in self._living(run_id) for one in open_waits(*_standing_of(live))]
        elif run_id is None:
            rows = [row for status in UNFINISHED for row in await self._store.rows(status=status, limit=limit)]
            rows = sorted(rows, key=lambda row: row.created, reverse=True)[:limit]
            found = [one for row in rows for one in await self._own_waits(self._store, await _read(self._store, row))]
        else:
            found = [one for each in await self._standings(run_id) for one in await self._own_waits(self._store, each)]
        return [one for one in found if kind in (None, one.kind)]

    async def questions(self, run_id: str | None = None, *, limit: int | None = None) -> list[OpenWait]:
        """Return the questions that are open and that nobody has answered yet, as `waits` does."""
        return [one for one in await self.waits(run_id, kind="ask", limit=limit) if one.answered is None]

    async def _own_waits(self, store: Store, standing: Standing) -> list[OpenWait]:
        found = list(open_waits(*standing))
        asks = any(one.kind == "ask" for one in found)
        return with_answers(found, await store.inbox(standing.run_id)) if asks else found

    async def _standings(self, run_id: str, question: str = "") -> list[Standing]:
        """Return where a run and those inside it stand, it first. question: the one who asks it ends the list.

        Without recursion: there may be many levels.
        """
        if self._store is None:
            return _until((_standing_of(live) for live in self._living(run_id)), question)
        self._recollection.turn_to(run_id)
        found: list[Standing] = []
        pending = deque([await self._row(run_id)])
        while pending:
            row = pending.popleft()
            if row.status in ("completed", "cancelled"):
                continue
            position = await self._recollection.position(self._store, row)
            found.append(Standing(row.run_id, row.workflow, position))
            if question and found[-1].question(question) is not None:
                break
            own = await self._store.children(row.run_id)
            known = {child.run_id for child in own}
            others = [await self._store.row(child) for child in sorted({*inside(position)} - known)]
            pending.extend([*own, *(child for child in others if child is not None)])
        return found

    def _living(self, run_id: str | None) -> Iterator[Live]:
        """Yield the runs without a store that are this one, which is the first, or inside it."""
        if run_id is None:
            yield from list(self._live.values())
            return
        if run_id not in self._live:
            raise UnknownRun(run_id, ())
        yield self._live[run_id]
        for live in list(self._live.values()):
            above = self._live.get(live.parent or "")
            while above is not None and above.run_id != run_id:
                above = self._live.get(above.parent or "")
            if above is not None:
                yield live

    # --- answers -----------------------------------------------------------------------------------------------------

    async def answer(self, run_id: str, question: str, value: object, *, by: str | None = None) -> OpenWait:
        """Answer a question of a run, or of a run inside it; whichever process drives it goes on with the answer.

        question: its id, the beginning of that, or the id of its node if only one question of it is open. value: what
        is answered, a value of the answer's type, or as JSON has it. by: who answers, for people. Returns the question.
        Raises AnswerError: it does not fit, every fault is named; UnknownQuestion, AlreadyAnswered, RunCancelled,
        UnknownRun, StoreError. Nothing is changed then.
        """
        found = await self._open_question(run_id, question)
        what = f"question {found.id!r} of node {found.node!r}"
        try:
            self._check_in_time(run_id, question, found)
            text = plain_text(value, what)
            self._check(found, text, what)
        except MilepostError:
            await self._check_unanswered(run_id, question, found)
            raise
        payload = f'{{"wait":"{found.id}","value":{text}}}'
        name = answer_id(found)
        message = Message(found.run_id, name, ANSWER, payload, by, self._clock())
        if not await self._say(message):
            raise await self._answered(found.run_id, question, name)
        return found

    async def question(self, run_id: str, question: str) -> OpenWait:
        """Return an open question that can be answered now, by what `answer` takes for its name.

        Raises UnknownQuestion, AlreadyAnswered, RunCancelled, UnknownRun, StoreError.
        """
        found = await self._open_question(run_id, question)
        await self._check_unanswered(run_id, question, found)
        self._check_in_time(run_id, question, found)
        return found

    async def _open_question(self, run_id: str, question: str) -> OpenWait:
        """Return an open question, which may have an answer that the run has not taken yet.

        Costs nothing for the messages to the run, and for its other questions as good as nothing; by the id of the
        question nothing for the runs inside of which it is none either.
        """
        if self._store is not None and (await self._row(run_id)).status == "cancelled":
            raise RunCancelled(run_id)
        try:
            return find_question(run_id, question, await self._standings(run_id, question))
        except UnknownQuestion as unknown:
            is_open = any(is_called(wait, node, question) for wait, node in unknown.open)
            if not is_open and self._store is None:
                self._check_said(run_id, question)
            elif not is_open and self._store is not None:
                await self._check_answered(self._store, run_id, question)
                if (await self._row(run_id)).status == "completed":
                    raise UnknownQuestion(run_id, question, "the run is completed.") from unknown
            raise

    async def _check_unanswered(self, run_id: str, question: str, found: OpenWait) -> None:
        """Check that no answer to an open question waits for its run. Raises AlreadyAnswered."""
        if self._store is None:  # a run that is stored nowhere takes it at once
            return
        (found,) = with_answers([found], await self._store.inbox(found.run_id))
        if found.answered is not None:
            raise AlreadyAnswered(run_id, question, found.by, found.answered)

    def _check_in_time(self, run_id: str, question: str, found: OpenWait) -> None:
        if found.until is not None and found.until.timestamp() < self._clock():
            due = f"{found.until:%Y-%m-%d %H:%M:%S} UTC"
            raise UnknownQuestion(run_id, question, f"its deadline was {due}.")

    async def _check_answered(self, store: Store, run_id: str, question: str) -> None:
        """Check that a question that is not open was not answered. Raises AlreadyAnswered: it was, the last time."""
        from milepost.engine.lineage import trace_of

        trace = await trace_of(store, await self._row(run_id))
        pending = deque([trace])
        while pending:
            trace = pending.popleft()
            pending.extend(trace.children.values())
            for task in reversed(trace.tasks):
                wait = task.wait
                if wait is not None and wait.how == "answered" and is_called(wait.id, task.node, question):
                    raise AlreadyAnswered(run_id, question, wait.by, wait.settled)

    def _check_said(self, run_id: str, question: str) -> None:
        """Check the same of a run that is stored nowhere: only the ids of its questions are known then."""
        for live in self._living(run_id):
            for message in reversed(live.said.values()):
                if message.kind == ANSWER and message.id.split(" ")[1] == question:
                    raise AlreadyAnswered(run_id, question, message.by, moment(message.at))

    async def _answered(self, run_id: str, question: str, name: str) -> AlreadyAnswered:
        """Return that somebody was faster. run_id: of the run that asks. name: of the message."""
        if self._store is None:
            posted = [self._live[run_id].said[name]]
        else:
            posted = [message for message, _ in await self._store.posted(run_id) if message.id == name]
        by, at = (posted[0].by, moment(posted[0].at)) if posted else (None, None)
        return AlreadyAnswered(run_id, question, by, at)

    def _check(self, wait: OpenWait, text: str, what: str) -> None:
        """Hold what was said against the type that the code declares, if that is here, or else its JSON schema."""
        expected = self._expected(wait)
        if expected is None:
            check_schema(text, wait.schema, what)
        else:
            read_plain(text, expected.type, what)
        if not wait.choices:
            return
        from pydantic_core import from_json

        if from_json(text) not in [from_json(one) for one in wait.choices]:
            raise AnswerError(what, [f"It is none of the choices, which are {', '.join(wait.choices)}."])

    def _expected(self, wait: OpenWait) -> Expected | None:
        """Return what the code of a run says of something that it waits for, None where that is not known here."""
        driver = self._driver_of(wait.run_id)
        return None if driver is None else driver.expected(wait.task, wait.id)

    def _driver_of(self, run_id: str) -> Driver | None:
        live = self._live.get(run_id)
        return None if live is None else live.driver

    # --- events ------------------------------------------------------------------------------------------------------

    async def send(
        self,
        run_id: str,
        event: str,
        value: object = None,
        *,
        key: str | None = None,
        id: str | None = None,
        by: str | None = None,
    ) -> bool:
        """Tell a run that something has happened outside; the task that has waited for it longest takes it.

        value: what the event carries, a value of its type, or as JSON has it. key: what it is about; a task that waits
        for one about something takes no other. id: makes this idempotent, for webhooks that are delivered twice. by:
        who says so, for people. Returns False when an event of that id was sent before. An event that nothing waits for
        yet is kept, unless its node was declared to refuse it. Raises InputError: nothing in the workflow ever waits
        for such an event, or the run is over; AnswerError: what it carries does not fit; RunCancelled, UnknownRun,
        StoreError.
        """
        what = f"event {event!r}"
        text = plain_text(value, what)
        open_here = [one for one in await self.waits(run_id) if one.event == event and one.key in (None, key)]
        target = open_here[0].run_id if open_here else run_id
        if open_here:
            self._check(open_here[0], text, what)
        await self._check_event(run_id, event, is_awaited=bool(open_here))
        payload = f'{{"event":{plain_text(event, what)},"key":{plain_text(key, what)},"value":{text}}}'
        name = f"{EVENT} {id or uuid4().hex}"
        return await self._say(Message(target, name, EVENT, payload, by, self._clock()))

    async def _check_event(self, run_id: str, event: str, *, is_awaited: bool) -> None:
        """Check that a run may ever take an event."""
        if self._store is None:
            definition = describe(self._live[run_id].workflow)
        else:
            row = await self._row(run_id)
            if row.status == "cancelled":
                raise RunCancelled(run_id)
            if row.status == "completed":
                raise InputError(f"Run {run_id!r} is completed, so it waits for no event any more.")
            from milepost.engine.reading import read_definition

            definition = await read_definition(self._store, run_id, row.fingerprint)
        known = events_in(definition)
        if is_awaited:
            return
        if event not in known and (node := node_inside(definition, event)) is not None:
            raise InputError(await self._where_inside(run_id, event, node))
        if event not in known:
            guess = did_you_mean(event, tuple(known))
            there = f"It waits for {listed(tuple(known))}." if known else "It waits for no event at all."
            raise InputError(f"Workflow {definition.name!r} never waits for event {event!r}.{guess} {there}")
        if not known[event]:
            raise InputError(
                f"Run {run_id!r} does not wait for event {event!r} now, and its workflow refuses what comes early. "
                "Send it again later, or declare wf.wait_for(..., early='keep')."
            )

    async def _where_inside(self, run_id: str, event: str, node: DefinedNode) -> str:
        """Say that only a run inside a run waits for an event, which it does not yet, and where it may be sent to."""
        if self._store is None:
            live = (one for one in self._live.values() if one.parent == run_id)
            found = [one.run_id for one in live if name_of(one.workflow) == node.workflow]
        else:
            rows = await self._store.children(run_id)
            found = [row.run_id for row in rows if row.workflow == node.workflow and row.status in UNFINISHED]
        takes = node.child is not None and events_in(node.child).get(event, False)
        so = f", or to the run inside, which keeps it: {listed(found[:3], 'or')}" if found and takes else ""
        return (
            f"Run {run_id!r} itself never waits for event {event!r}: a run inside it does, at node {node.id!r}, and it "
            f"does not wait for it yet. Send it when it does{so}."
        )

    async def _say(self, message: Message) -> bool:
        """Put a message where the run will find it; False if one of its id was there before."""
        if self._store is None:
            live = self._live[message.run_id]
            if message.id in live.said:
                return False
            live.said[message.id] = message
            live.driver.hear(message)
            return True
        is_new = await self._store.post(message)
        self._poke(message.run_id)
        return is_new

    def _poke(self, run_id: str) -> None:
        """Have a run that is driven or waits here look into its inbox now."""


async def _read(store: Store, row: RunRow) -> Standing:
    from milepost.engine.opening import read_position

    return Standing(row.run_id, row.workflow, (await read_position(store, row, row.seq)).position)


def _standing_of(live: Live) -> Standing:
    return Standing(live.run_id, name_of(live.workflow), live.driver.position)


def _until(standings: Iterable[Standing], question: str) -> list[Standing]:
    """Return runs up to the one that asks a question, or all of them."""
    found: list[Standing] = []
    for standing in standings:
        found.append(standing)
        if question and standing.question(question) is not None:
            break
    return found


def node_inside(definition: Definition, event: str) -> DefinedNode | None:
    """Return the node of a workflow inside which, at any depth, an event may be waited for; None if there is none."""
    for node in definition.nodes:
        pending = [node.child]
        while pending:
            child = pending.pop()
            if child is not None and event in events_in(child):
                return node
            pending.extend(inner.child for inner in (child.nodes if child is not None else ()))
    return None


def events_in(definition: Definition) -> dict[str, bool]:
    """Return the events that a workflow may wait for, and of each whether it is kept when it comes early."""
    found: dict[str, bool] = {}
    for node in definition.nodes:
        for event in node.events:
            found[event] = found.get(event, False) or event not in node.refuses
    return found
