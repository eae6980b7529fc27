"""`milepost answer`: answer a question of a run, from the command line or by being asked on the terminal."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import click

from milepost.cli.form import Form
from milepost.cli.inputs import read_text
from milepost.cli.options import common_options, store_option
from milepost.cli.records import check_goes_on, find_run, read_store
from milepost.cli.schemas import Schema, value_of
from milepost.cli.screen import Invocation, print_json, say
from milepost.cli.stores import require
from milepost.cli.waiting import (
    SHORT,
    command,
    describe_wait,
    moment,
    placeholder,
    resume_command,
    span,
    wait_lines,
)
from milepost.engine.errors import AnswerError, InputError, MilepostError, UnknownQuestion
from milepost.engine.plainly import check_schema, read_plain

if TYPE_CHECKING:
    from milepost.engine.engine import Engine
    from milepost.engine.questions import OpenWait
    from milepost.engine.spec import Expected
    from milepost.engine.stored_runs import RunSummary


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a run. given: the answer as it was written on the command line, None to ask for it."""

    summary: RunSummary
    wait: OpenWait
    given: str | None


class NoQuestion(UnknownQuestion):
    """No question was named, and there is none, or several."""

    def __init__(self, run_id: str, waits: Sequence[OpenWait]) -> None:
        super().__init__(run_id, "", "", [(wait.id, wait.node) for wait in waits])
        there = ", ".join(f"{wait.id[:SHORT]} ({wait.node})" for wait in waits)
        several = f"Run {run_id!r} asks {len(waits)} questions. Name one of them: {there}."
        self.args = (several if waits else f"Run {run_id!r} has no open question.",)


def user_name() -> str | None:
    """Return what the one who calls is called on this machine, None where nobody is."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None


@click.command()
@click.argument("run", metavar="RUN")
@click.argument("question", metavar="[QUESTION]", required=False)
@click.argument("answer", metavar="[JSON|@FILE]", required=False)
@click.option("--by", metavar="NAME", help="Who answers; your user name if left out.")
@click.option("--target", metavar="TARGET", help="The workflow, to hold the answer against its own types.")
@store_option
@common_options
@click.pass_obj
def answer(
    asked: Invocation,
    run: str,
    question: str | None,
    answer: str | None,
    by: str | None,
    target: str | None,
    store: str,
) -> None:
    """Answer a QUESTION of RUN: its id, the beginning of that, or the node that asks.

    QUESTION may be left out when only one is open. Without an answer it is asked for here, part by part. For a question
    whose answer is text, the text needs no quotes. A single word after RUN is the QUESTION if one is or was called so,
    and else the answer to the only open one.
    """
    require(store, run)
    found = read_store(store, lambda engine: _find(engine, store, run, question, answer))
    expected = _expected(found.wait, target)
    value = _ask(found, expected) if found.given is None else _value(found.given, found.wait)
    _check(value, found.wait, expected)
    who = by if by is not None else user_name()

    async def post(engine: Engine) -> OpenWait:
        return await engine.answer(found.summary.run_id, found.wait.id, value, by=who)

    wait = read_store(store, post)
    if asked.as_json:
        print_json({**describe_wait(wait, store), "answer": value, "by": who})
        return
    say(f"Answered {wait.node!r} of run {found.summary.run_id!r}: {json.dumps(value, ensure_ascii=False)}.")
    say("The process that drives the run goes on with it. If there is none:")
    say(f"  {resume_command(found.summary, target, store)}")


# --- which question ---------------------------------------------------------------------------------------------------


async def _find(engine: Engine, store: str, run: str, question: str | None, answer: str | None) -> Asked:
    """Return the question that is meant. Raises UnknownQuestion, AlreadyAnswered; InputError: the run is over."""
    summary = await find_run(engine, run)
    run_id = summary.run_id
    if summary.status == "cancelled" or question is None:
        check_goes_on(summary, store)
    waits = await engine.questions(run_id)
    if question is not None and answer is None and len(waits) == 1 and not await _is_called(engine, run_id, question):
        return Asked(summary, waits[0], question)
    if question is None and len(waits) == 1:
        return Asked(summary, waits[0], None)
    if question is None and waits and sys.stdin.isatty():
        return Asked(summary, await _chosen(waits, run_id), None)
    if question is None:
        raise NoQuestion(run_id, waits)
    try:
        return Asked(summary, await engine.question(run_id, question), answer)
    except UnknownQuestion:
        check_goes_on(summary, store)
        raise


async def _is_called(engine: Engine, run_id: str, name: str) -> bool:
    """Tell whether a question of a run is called so, or was, though it is not open any more."""
    pending = [await engine.trace(run_id)]
    while pending:
        trace = pending.pop()
        pending.extend(trace.children.values())
        for task in trace.tasks:
            wait = task.wait
            if wait is not None and (task.node == name or (len(name) >= SHORT and wait.id.startswith(name))):
                return True
    return False


async def _chosen(waits: Sequence[OpenWait], run_id: str) -> OpenWait:
    """Have one of several open questions chosen on the terminal."""
    lines = list(wait_lines(waits, run_id, datetime.now(UTC)))
    say(f"Run {run_id!r} asks {len(waits)} questions:")
    chosen = Form(Screen()).ask(Schema({"enum": lines}, {}), "Which one")
    return waits[lines.index(str(chosen))]


# --- the answer -------------------------------------------------------------------------------------------------------


def _value(given: str, wait: OpenWait) -> object:
    """Return the answer that was written on the command line. Raises InputError: it is not JSON."""
    text = read_text(given, "the answer")
    schema = Schema.read(wait.schema)
    try:
        return value_of(text, schema)
    except ValueError as error:
        raise InputError(
            f"{text!r} is not JSON ({error}), and question {wait.id[:SHORT]} of node {wait.node!r} asks for "
            f"{schema.word}. Leave the answer out to be asked for it here."
        ) from None


def _expected(wait: OpenWait, target: str | None) -> Expected | None:
    """Return what the code says of a question, None where the code is not at hand: its schema is enough then.

    target: where the workflow is, None to look for it among those that are registered.
    """
    from milepost.cli.target import find_workflow, registered
    from milepost.engine.admission import workflows_inside
    from milepost.engine.waits import wait_id

    if target is None and wait.workflow not in registered():
        return None
    try:
        whole = find_workflow(target or wait.workflow)
        workflows = [whole, *workflows_inside(whole)]
    except MilepostError as error:
        if target is not None:
            raise
        say(f"The code of workflow {wait.workflow!r} cannot be read, so only the schema is looked at: {error}")
        return None
    for workflow in workflows:
        spec = workflow.specs.get(wait.node) if workflow.name == wait.workflow else None
        for number, expected in enumerate(() if spec is None else spec.expects):
            if expected.kind == "ask" and wait_id(wait.run_id, wait.task, number) == wait.id:
                return expected
    if target is not None:
        raise InputError(f"{target!r} has no node {wait.node!r} that asks this question of {wait.workflow!r}.")
    return None


def _check(value: object, wait: OpenWait, expected: Expected | None) -> None:
    """Hold an answer against what is known of its type. Raises AnswerError, with every fault."""
    what, text = f"question {wait.id!r} of node {wait.node!r}", json.dumps(value)
    if expected is not None:
        read_plain(text, expected.type, what)
    else:
        check_schema(text, wait.schema, what)


class Screen:
    """The terminal that the command is called on: what it shows goes to stderr, as stdout is for data."""

    def show(self, line: str) -> None:
        say(line)

    def read(self, prompt: str) -> str:
        text: str = click.prompt(prompt, prompt_suffix="", default="", show_default=False, err=True)
        return text


def _ask(found: Asked, expected: Expected | None) -> object:
    """Ask for the answer on the terminal, until it fits. Raises InputError: there is none."""
    wait = found.wait
    if not sys.stdin.isatty():
        line = command("answer", found.summary.run_id, wait.id[:SHORT])
        raise InputError(
            f"There is no terminal here to ask on. Give the answer behind the question: {line} {placeholder(wait)} (or "
            "@FILE, or @- for stdin)."
        )
    for line in context_lines(found, datetime.now(UTC)):
        say(line)
    choices = [json.loads(one) for one in wait.choices]
    while True:
        value = Form(Screen()).ask(Schema.read(wait.schema), "Answer", choices)
        try:
            _check(value, wait, expected)
        except AnswerError as error:
            say(str(error))
        else:
            return value


def context_lines(found: Asked, now: datetime) -> Iterator[str]:
    """Yield what whoever answers should know: what asks, since when, until when, the question and its details."""
    wait, summary = found.wait, found.summary
    tags = f", tagged {', '.join(summary.tags)}" if summary.tags else ""
    begun = f"begun {moment(summary.created)}"
    yield f"Run {summary.run_id!r} of {summary.workflow!r}, {begun}{tags}, asks at {wait.node!r}:"
    yield ""
    yield from (f"  {line}" for line in wait.text.splitlines())
    if wait.details:
        yield ""
        yield from (f"  {line}" for line in detail_lines(json.loads(wait.details)))
    yield ""
    yield f"Asked {moment(wait.asked)}, {span(wait, now)}."


def detail_lines(details: object) -> Iterator[str]:
    """Yield the details of a question: the fields of an object each on a line, anything else as JSON.

    >>> list(detail_lines({"amount": 480, "for": "the hotel"}))
    ['amount: 480', 'for: the hotel']
    """
    if isinstance(details, str):
        yield from details.splitlines()
    elif isinstance(details, dict):
        for name, value in cast("dict[str, object]", details).items():
            yield f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
    else:
        yield from json.dumps(details, indent=2, ensure_ascii=False).splitlines()
