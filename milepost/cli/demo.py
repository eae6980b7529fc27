"""`milepost demo`: the main job on real input. A contract is reviewed, the process dies, and another one goes on."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from milepost.cli.contracts import read_contract
from milepost.cli.exits import CheckFailed
from milepost.cli.options import common_options
from milepost.cli.pictures import Look, draw
from milepost.cli.screen import Invocation, console, print_json
from milepost.engine.errors import InputError, MilepostError

if TYPE_CHECKING:
    from milepost.cli.rehearsal import Process, Rehearsal
    from milepost.cli.story import Story
    from milepost.engine.trace import Trace


class DemoFailed(MilepostError):
    """A process of the demo did not do what it is there for."""

    def __init__(self, which: str, process: Process) -> None:
        self.process = process
        words = process.stderr.splitlines()[0] if process.stderr else f"it ended with code {process.code}."
        super().__init__(f"The {which} process of the demo failed: {words}")


@click.command()
@click.argument("file", required=False)
@click.option("--model", metavar="NAME", help="A model of pydantic-ai, e.g. openai:gpt-5, instead of the scripted one.")
@click.option("--out", metavar="DIR", default="out", show_default=True, help="Where the results go.")
@common_options
@click.pass_obj
def demo(asked: Invocation, file: str | None, model: str | None, out: str) -> None:
    """Review the contract FILE (the project's LICENSE if none is named), kill the process half way, and resume it."""
    if find_spec("pydantic_ai") is None:
        raise InputError("The demo needs pydantic-ai. Install it: pip install 'milepost[agents]'")
    title, text = read_contract(file)
    _check_model(model)
    from milepost.cli.rehearsal import Rehearsal
    from milepost.cli.story import Story
    from milepost.workflows.contract_review.clauses import split_clauses

    rehearsal = Rehearsal(title=title, text=text, clauses=split_clauses(text), model=model, out=Path(out))
    rehearsal.prepare()
    screen = console(stderr=asked.as_json)
    screen.quiet = asked.as_json and not screen.is_terminal
    result = show(rehearsal, Story(screen))
    if asked.as_json:
        print_json(result)


def _check_model(name: str | None) -> None:
    """Find out whether a model can be asked, before anything else is done. Raises InputError."""
    if name is None:
        return
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import infer_model

    try:
        infer_model(name)
    except (UserError, ValueError, ImportError) as error:
        raise InputError(f"The model {name!r} cannot be used: {str(error).splitlines()[0]}") from error


def show(rehearsal: Rehearsal, story: Story) -> Mapping[str, object]:
    """Carry the demo out and tell it as it goes. Returns what it showed, for `--json`.

    Raises CheckFailed: an answer that was in the store was paid for again. DemoFailed: a process could not do its work.
    """
    from milepost.cli.story import payments

    story.introduce(rehearsal)
    story.step("A process begins", rehearsal.start)
    with story.busy("reading clauses"):
        first = rehearsal.carry_out(rehearsal.start, dies_at=rehearsal.dies_at)
    if first.code != -signal.SIGKILL:
        raise DemoFailed("first", first)
    story.died(first)
    saved = rehearsal.saved()

    story.step("Another process goes on", rehearsal.go_on)
    with story.busy("reading the rest"):
        second = rehearsal.carry_out(rehearsal.go_on)
    if second.code != 0:
        raise DemoFailed("second", second)
    story.finished(second)

    story.step("What was paid for")
    paid = payments(rehearsal, saved, first, second)
    story.tell_payments(paid)
    if any(payment.saved and payment.second for payment in paid):
        raise CheckFailed("An answer that was in the store was paid for again, which must never happen.")

    trace = rehearsal.trace()
    story.step("What the run did")
    story.tell_trace(trace)
    story.step("What it left")
    files, missing = leave(rehearsal, trace, json.loads(second.stdout)["output"])
    story.tell_files(files, missing)
    return {
        "run_id": trace.run_id,
        "store": rehearsal.store,
        "clauses": len(paid),
        "saved_before_the_kill": [payment.clause.number for payment in paid if payment.saved],
        "asked_again": [payment.clause.number for payment in paid if payment.is_twice],
        "files": list(files),
    }


def leave(rehearsal: Rehearsal, trace: Trace, report: Mapping[str, object]) -> tuple[Mapping[str, str], str | None]:
    """Write the report and the pictures. Returns what each file is, and why there is no SVG if nothing draws one."""
    from milepost.visualize.layout import DrawingError

    pictures: Final = {
        "run.mmd": ("the run as Mermaid text", "mermaid"),
        "run.svg": ("the run as a picture", "svg"),
        "timeline.svg": ("what ran and what waited when", "timeline"),
        "run.html": ("the run as a page: open it in a browser", "html"),
    }
    left: dict[str, str] = {}
    missing: str | None = None
    looked_at = f"the review: {report['clauses']} clauses read, {report['risky']} looked at twice"
    (rehearsal.out / "report.md").write_text(str(report["markdown"]), encoding="utf-8")
    left[str(rehearsal.out / "report.md")] = looked_at
    for name, (what, form) in pictures.items():
        try:
            is_page = form == "html"
            subject = rehearsal.report() if is_page else trace
            picture = draw(subject, form, Look(theme="auto" if is_page else "light"))
        except DrawingError as error:
            missing = str(error)
            continue
        (rehearsal.out / name).write_text(str(picture), encoding="utf-8")
        left[str(rehearsal.out / name)] = what
    left[str(rehearsal.out / "demo.db")] = f"the store; try: milepost show @last --store {rehearsal.store}"
    return left, missing
