"""`milepost fork`, `edit`, `diff`, and `show --at`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from milepost.cli.travel import pending_task
from milepost.engine.checkpoints import PendingTask, Snapshot
from milepost.engine.errors import InputError
from tests.cli.conftest import ORDER, Answer, Call

TOUR = """
from pathlib import Path

from pydantic import BaseModel

from milepost import StepContext, WorkflowBuilder

class Log(BaseModel):
    stops: list[str] = []
    days: int = 0

wf = WorkflowBuilder(name="tour", state_type=Log, input_type=str, output_type=str)

@wf.function
async def fly(ctx: StepContext[Log, None, str]) -> str:
    print("flying")
    ctx.state.stops.append(ctx.inputs)
    ctx.state.days += 1
    return f"{ctx.inputs} station"

@wf.function
async def ride(ctx: StepContext[Log, None, str]) -> str:
    if Path("broken").exists():
        raise RuntimeError("no train")
    ctx.state.stops.append(ctx.inputs)
    return f"{len(ctx.state.stops)} stops in {ctx.state.days + 1} days"

wf.edge(wf.start_node, fly)
wf.edge(fly, ride)
wf.edge(ride, wf.end_node)
workflow = wf.build()
"""

TARGET = "tour:workflow"


@pytest.fixture
def tour(call: Call, folder: Path) -> Iterator[Call]:
    """One run that is done."""
    (folder / "tour.py").write_text(TOUR)
    assert call("run", TARGET, "--input", '"Oslo"', "--run-id", "t-1").out == "2 stops in 2 days\n"
    yield call
    sys.modules.pop("tour", None)


@pytest.fixture
def stuck(tour: Call, folder: Path) -> Call:
    """Another run, which failed."""
    (folder / "broken").touch()
    assert tour("run", TARGET, "--input", '"Rome"', "--run-id", "t-2").code == 1
    (folder / "broken").unlink()
    return tour


def task(call: Call, at: int, run: str = "t-1") -> str:
    key: str = call("show", run, "--at", str(at), "--json").document["checkpoint"]["tasks"][0]["key"]
    return key


def sentence(answer: Answer, code: int) -> str:
    """Return what was said of an error, which has this code and is all there is."""
    assert (answer.code, answer.out) == (code, "")
    assert "Traceback" not in answer.err
    return answer.err.strip()


# --- show --at --------------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_shown_with_its_state_and_what_was_pending(tour: Call) -> None:
    answer = tour("show", "t-1", "--at", "2")
    assert answer.code == 0
    assert "completed fly\nState:\n  {\n" in answer.out
    assert '"Oslo"' in answer.out
    assert f'Pending:\n  ride {task(tour, 2)} with "Oslo station"\n' in answer.out
    assert "Output: " not in answer.out
    assert 'Output: "2 stops in 2 days"' in tour("show", "t-1", "--at", "3").out


def test_a_checkpoint_says_what_it_changed_and_colours_it_on_a_terminal(
    tour: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = 'It changed:\n  - days = 0\n  + days = 1\n  + stops[0] = "Oslo"\n'
    plain = tour("show", "t-1", "--at", "2").out
    assert sorted(plain.split("It changed:\n")[1].splitlines()) == sorted(changed.splitlines()[1:])
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = tour("show", "t-1", "--at", "2").out
    assert "\x1b[31m  - days = 0" in coloured
    assert "\x1b[32m  + days = 1" in coloured
    assert "\x1b[32m" in tour("diff", "t-1", "--at", "1", "--at", "2").out


def test_a_checkpoint_that_changed_nothing_says_nothing_of_it(call: Call) -> None:
    call("run", "flows:workflow", "--input", ORDER, "--run-id", "o-1")
    assert "It changed:" not in call("show", "o-1", "--at", "2").out


def test_a_checkpoint_of_a_workflow_without_a_state_shows_none(call: Call) -> None:
    call("run", "flows:workflow", "--input", ORDER, "--run-id", "o-1")
    assert "State:" not in call("show", "o-1", "--at", "2").out
    assert call("show", "o-1", "--at", "2", "--json").document["checkpoint"]["state"] is None


def test_a_checkpoint_as_json_has_its_values_as_json(tour: Call) -> None:
    document = tour("show", "t-1", "--at", "2", "--json").document
    checkpoint = document["checkpoint"]
    assert (document["run_id"], document["checkpoints"], document["trace"]["checkpoints"]) == ("t-1", 3, 2)
    assert (checkpoint["seq"], checkpoint["did"], checkpoint["node"], checkpoint["status"]) == (
        2,
        "completed",
        "fly",
        "running",
    )
    assert checkpoint["state"] == {"stops": ["Oslo"], "days": 1}
    assert [(one["node"], one["inputs"]) for one in checkpoint["tasks"]] == [("ride", "Oslo station")]
    assert (checkpoint["output"], checkpoint["streams"], checkpoint["joins"], checkpoint["outputs"]) == (
        None,
        [],
        [],
        [],
    )


def test_a_checkpoint_that_does_not_exist_is_told_with_those_that_do(tour: Call) -> None:
    for words in (("show", "t-1"), ("fork", "t-1", TARGET), ("diff", "t-1")):
        assert sentence(tour(*words, "--at", "4"), 4) == "Run 't-1' has no checkpoint 4. It has those from 1 to 3."
    error = tour("show", "t-1", "--at", "4", "--json")
    assert error.code == 4
    assert error.document["error"]["type"] == "UnknownCheckpoint"
    assert tour("show", "t-1", "--at", "0").code == 2


# --- fork -------------------------------------------------------------------------------------------------------------


def test_a_fork_runs_and_prints_its_output(tour: Call) -> None:
    answer = tour("fork", "t-1", TARGET, "--at", "2", "--run-id", "f-1")
    assert (answer.code, answer.out) == (0, "2 stops in 2 days\n")
    assert "flying" not in answer.err, "what it shares does not run again"
    assert tour("show", "f-1").out.endswith("This run was forked from checkpoint 2 of run t-1.\n")
    document = tour("show", "f-1", "--json").document
    assert (document["forked_from"], document["forked_at"], document["checkpoints"]) == ("t-1", 2, 4)
    assert tour("show", "t-1", "--json").document["forked_at"] is None


def test_a_fork_takes_another_state_and_other_inputs(tour: Call, folder: Path) -> None:
    (folder / "log.json").write_text('{"stops": ["Bonn"], "days": 6}')
    words = ("fork", "t-1", TARGET, "--at", "2", "--state", "@log.json")
    for name in ("ride", task(tour, 2), task(tour, 2)[:8]):
        document = tour(*words, "--input", f'{name}="Kiel"', "--json").document
        assert document["output"] == "2 stops in 7 days"
        then = tour("show", document["run_id"], "--at", "4", "--json").document["checkpoint"]
        assert then["state"] == {"stops": ["Bonn", "Kiel"], "days": 6}
    changed = f"field stops of the state, field days of the state, the input of task {task(tour, 2)}"
    assert f"Changed by hand at checkpoint 3: {changed}.\n" in tour("show", document["run_id"]).out


def test_a_fork_of_the_same_id_prints_its_recorded_output(tour: Call) -> None:
    first = tour("fork", "t-1", TARGET, "--at", "1", "--run-id", "f-1", "--json")
    again = tour("fork", "t-1", TARGET, "--at", "1", "--run-id", "f-1", "--json")
    assert (again.code, again.document) == (0, first.document)
    assert "flying" not in again.err
    assert "exists with another origin" in sentence(tour("fork", "t-1", TARGET, "--at", "2", "--run-id", "f-1"), 2)


def test_without_a_checkpoint_the_newest_is_forked(stuck: Call) -> None:
    answer = stuck("fork", "t-2", TARGET)
    assert (answer.code, answer.out) == (0, "2 stops in 2 days\n")
    assert stuck("show", "t-2", "--json").document["status"] == "failed"


def test_a_fork_that_fails_says_how_to_go_on(tour: Call, folder: Path) -> None:
    (folder / "broken").touch()
    answer = tour("fork", "t-1", TARGET, "--at", "2", "--run-id", "f-1")
    assert answer.code == 1
    assert answer.err.endswith("milepost resume f-1 tour:workflow\n")
    (folder / "broken").unlink()
    assert tour("resume", "f-1", TARGET).out == "2 stops in 2 days\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--state", '{"days": "x"}'), "The state does not fit 'Log': days: Input should be a valid integer"),
        (("--state", "{"), "The state is not JSON"),
        (("--input", "ride=3"), "The input does not fit 'str'"),
        (("--input", "ride"), "--input 'ride' names no task. Write TASK=JSON."),
        (
            ("--input", 'drive="x"'),
            "'drive' names no task that is pending at checkpoint 2 of run 't-1'. Pending are: ride ",
        ),
        (("--input", '="x"'), "'' names no task that is pending"),
        (("--run-id", "@last"), "'@last' cannot be a run id"),
    ],
)
def test_what_a_fork_cannot_take_is_told_in_one_sentence(tour: Call, words: tuple[str, ...], said: str) -> None:
    assert said in sentence(tour("fork", "t-1", TARGET, "--at", "2", *words), 2)
    assert len(tour("runs", "--json").document["runs"]) == 1


def test_the_end_of_a_run_takes_no_other_state(tour: Call) -> None:
    answer = tour("fork", "t-1", TARGET, "--state", "{}", "--json")
    assert answer.code == 2
    assert "had come to its end at checkpoint 3" in answer.document["error"]["faults"][0]
    said = "'ride' names no task that is pending at checkpoint 3 of run 't-1'; nothing is."
    assert sentence(tour("fork", "t-1", TARGET, "--input", "ride=1"), 2) == said


def test_a_run_that_does_not_exist_cannot_be_forked_edited_or_compared(tour: Call) -> None:
    for words in (
        ("fork", "x", TARGET),
        ("edit", "x", TARGET, "--state", "{}"),
        ("diff", "t-1", "x"),
        ("diff", "x", "t-1"),
    ):
        assert "There is no run 'x' in this store" in sentence(tour(*words), 4)


# --- edit -------------------------------------------------------------------------------------------------------------


def test_an_edit_changes_fields_and_the_next_resume_sees_them(stuck: Call) -> None:
    answer = stuck("edit", "t-2", TARGET, "--set", "days=8", "--set", 'stops=["Pisa"]')
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == "The state of run 't-2' is changed, as its checkpoint 4.\n"
    assert stuck("show", "t-2", "--at", "4", "--json").document["checkpoint"]["state"] == {"stops": ["Pisa"], "days": 8}
    assert stuck("resume", "t-2", TARGET).out == "2 stops in 9 days\n"
    document = stuck("show", "t-2", "--json").document
    assert [(edit["seq"], edit["fields"]) for edit in document["trace"]["edits"]] == [(4, ["stops", "days"])]
    assert len(document["trace"]["resumes"]) == 1


def test_an_edit_gives_a_whole_state(stuck: Call, folder: Path) -> None:
    (folder / "log.json").write_text('{"days": 3}')
    document = stuck("edit", "t-2", TARGET, "--state", "@log.json", "--json").document
    assert (document["run_id"], document["checkpoints"], document["changed"]) == ("t-2", 4, True)
    assert stuck("show", "t-2", "--at", "4", "--json").document["checkpoint"]["state"] == {"stops": [], "days": 3}


def test_an_edit_that_changes_nothing_says_so(stuck: Call) -> None:
    answer = stuck("edit", "t-2", TARGET, "--set", "days=1")
    assert (answer.code, answer.err) == (0, "The state of run 't-2' is so already. Nothing was changed.\n")
    assert stuck("edit", "t-2", TARGET, "--set", "days=1", "--json").document["changed"] is False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Say what the state is to be"),
        (("--state", "{}", "--set", "days=1"), "Say what the state is to be"),
        (("--set", "days"), "--set 'days' names no field. Write FIELD=JSON."),
        (("--set", "days=many"), "What --set gives to 'days' is not JSON"),
        (("--set", 'days="many"'), "The state does not fit 'Log': days: Input should be a valid integer"),
        (("--state", '{"stops": 1}'), "The state does not fit 'Log': stops: Input should be a valid array"),
        (("--set", "dais=2"), "The state has no field 'dais'. Did you mean 'days'? Nothing was changed."),
        (("--set", "x=2"), "The state has no field 'x'. It has 'stops', 'days'. Nothing was changed."),
    ],
)
def test_what_the_state_cannot_be_is_told_in_one_sentence(stuck: Call, words: tuple[str, ...], said: str) -> None:
    before = stuck("show", "t-2", "--json").document
    assert said in sentence(stuck("edit", "t-2", TARGET, *words), 2)
    assert stuck("show", "t-2", "--json").document == before


def test_a_state_without_fields_can_only_be_given_as_a_whole(tour: Call, folder: Path) -> None:
    (folder / "listed.py").write_text(
        TOUR.replace("state_type=Log", "state_type=list[str]")
        .replace("ctx.state.days", "0")
        .replace("0 += 1", "pass")
        .replace("ctx.state.stops", "ctx.state")
    )
    (folder / "broken").touch()
    assert tour("run", "listed:workflow", "--input", '"Rome"', "--state", "[]", "--run-id", "l-1").code == 1
    try:
        answer = tour("edit", "l-1", "listed:workflow", "--set", "days=1")
        assert sentence(answer, 2) == "This state has no fields. Give it as a whole: --state JSON."
        assert tour("edit", "l-1", "listed:workflow", "--state", '["Bari"]').code == 0
    finally:
        sys.modules.pop("listed", None)


KINDS = """
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel
from typing_extensions import NotRequired, TypedDict

from milepost import StepContext, WorkflowBuilder

class Train(BaseModel):
    seats: int = 0

class Bus(BaseModel):
    seats: int = 0

class Model(BaseModel):
    by: Train | Bus = Bus(seats=9)
    ticket: bytes = b"\\xff\\x00"
    prices: dict[int, Decimal] = {1: Decimal("1.10")}
    days: int = 0

class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    days: int = 0

class Named(RootModel[dict[str, int]]):
    root: dict[str, int] = {"days": 0}

@dataclass
class Data:
    ticket: bytes = b"\\xff\\x00"
    stops: set[str] = field(default_factory=lambda: {"Bari"})
    days: int = 0

class Typed(TypedDict):
    days: int
    until: NotRequired[datetime]

STATES = {"Model": Model(), "Open": Open(), "Named": Named(), "Data": Data()}
STATES["Typed"] = STATES["dict[str, int]"] = {"days": 0}

def made(kind: Any) -> Any:
    wf = WorkflowBuilder(name="kinds", state_type=kind, input_type=int, output_type=int)

    @wf.function
    async def go(ctx: StepContext[Any, None, int]) -> int:
        assert ctx.state == STATES[NAME], "no train"
        return 1

    wf.edge(wf.start_node, go)
    wf.edge(go, wf.end_node)
    return wf.build()
"""


@pytest.fixture
def kinds(call: Call, folder: Path) -> Iterator[Callable[[str, str], Call]]:
    """Leave a run whose state is of some kind, and which goes on when that is as it is told to be."""

    def left(kind: str, wanted: str) -> Call:
        (folder / "kinds.py").write_text(f"{KINDS}\nNAME = {kind!r}\nworkflow = made({kind})\n")
        start = json.dumps({"days": 0})
        assert call("run", "kinds:workflow", "--input", "1", "--state", start, "--run-id", "k-1").code == 0
        sys.modules.pop("kinds")
        (folder / "kinds.py").write_text(
            f"{KINDS}\nNAME = {kind!r}\nSTATES[NAME] = {wanted}\nworkflow = made({kind})\n"
        )
        assert call("fork", "k-1", "kinds:workflow", "--at", "1", "--run-id", "k-2").code == 1
        return call

    yield left
    sys.modules.pop("kinds", None)


@pytest.mark.parametrize(
    ("kind", "option", "wanted"),
    [
        ("Model", "days=5", "Model(days=5)"),
        ("Model", 'prices={"2": "1.50"}', "Model(prices={2: Decimal('1.50')})"),
        ("Model", 'ticket="text"', "Model(ticket=b'text')"),
        ("Model", 'by={"$type": "Bus", "value": {"seats": 4}}', "Model(by=Bus(seats=4))"),
        ("Model", 'by={"seats": 4}', "Model(by=Train(seats=4))"),
        ("Open", "other=5", "Open(other=5)"),
        ("Named", "other=5", "Named({'days': 0, 'other': 5})"),
        ("Data", 'stops=["Rome"]', "Data(stops={'Rome'})"),
        ("Typed", 'until="2026-01-01T00:00:00"', "{'days': 0, 'until': datetime(2026, 1, 1)}"),
        ("dict[str, int]", "other=5", "{'days': 0, 'other': 5}"),
    ],
)
def test_an_edit_of_a_field_changes_that_field_alone(
    kinds: Callable[[str, str], Call], kind: str, option: str, wanted: str
) -> None:
    """Whatever JSON its type is stored as: types that JSON has no word for come back as they were."""
    call = kinds(kind, wanted)
    assert call("edit", "k-2", "kinds:workflow", "--set", option).code == 0
    (edit,) = call("show", "k-2", "--json").document["trace"]["edits"]
    assert edit["fields"] == [option.partition("=")[0]]
    assert call("resume", "k-2", "kinds:workflow").code == 0


def test_a_state_can_be_given_as_it_is_shown(kinds: Callable[[str, str], Call], folder: Path) -> None:
    call = kinds("Model", "Model(by=Bus(seats=9), days=3)")
    shown = call("show", "k-2", "--at", "1", "--json").document["checkpoint"]["state"]
    assert shown["by"] == {"$type": "Bus", "value": {"seats": 9}}
    (folder / "shown.json").write_text(json.dumps({**shown, "days": 3}))
    assert call("fork", "k-2", "kinds:workflow", "--state", "@shown.json", "--run-id", "k-3").code == 0
    assert call("edit", "k-2", "kinds:workflow", "--state", "@shown.json").code == 0
    assert call("resume", "k-2", "kinds:workflow").code == 0


def test_the_name_of_a_type_that_does_not_belong_there_is_refused(kinds: Callable[[str, str], Call]) -> None:
    call = kinds("Model", "None")
    option = 'by={"$type": "Plane", "value": {"seats": 4}}'
    said = "What is given names the type 'Plane', which 'Train | Bus' does not know."
    assert sentence(call("edit", "k-2", "kinds:workflow", "--set", option), 2) == said


def test_a_workflow_that_is_not_registered_has_to_be_named(stuck: Call) -> None:
    for command in ("fork", "edit"):
        option = () if command == "fork" else ("--set", "days=1")
        said = sentence(stuck(command, "t-2", *option), 2)
        assert said.endswith(f"Say where it is: milepost {command} t-2 package.module:workflow")


def test_a_word_that_fits_several_tasks_is_refused_with_all_of_them() -> None:
    key = "0123456789abcdef" * 2
    tasks = tuple(PendingTask(key=f"{key[:-1]}{number}", node="write", inputs="1") for number in range(2))
    then = Snapshot(
        run_id="r",
        workflow="w",
        seq=2,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        did="completed",
        node="a",
        task="b",
        status="running",
        error=None,
        state=None,
        output=None,
        tasks=tasks,
        streams=(),
        joins=(),
        outputs=(),
    )
    assert pending_task(then, tasks[1].key) is tasks[1]
    for word in ("write", "0123"):
        with pytest.raises(
            InputError, match=f"'{word}' fits several tasks that are pending at checkpoint 2 of run 'r'"
        ):
            pending_task(then, word)
    with pytest.raises(InputError, match="'012' names no task"):
        pending_task(then, "012")


def test_a_run_that_is_over_is_not_edited(tour: Call) -> None:
    said = "Run 't-1' is completed, so nothing would see another state. Fork it at one of its checkpoints instead."
    assert sentence(tour("edit", "t-1", TARGET, "--set", "days=1"), 2) == said


# --- diff -------------------------------------------------------------------------------------------------------------


def test_two_runs_are_told_apart(tour: Call) -> None:
    tour("fork", "t-1", TARGET, "--at", "2", "--state", '{"days": 9}', "--run-id", "f-1")
    answer = tour("diff", "t-1", "f-1")
    assert answer.code == 0
    assert answer.out.startswith(
        "- run t-1, checkpoint 3, completed\n"
        "+ run f-1, checkpoint 4, completed\n"
        "The first 2 checkpoints are shared.\n"
        "+ changed by hand at checkpoint 3: state (stops, days)\n"
        "They part at ride#1.\n"
        "Other outcomes:\n"
        '  - ride#1 completed: "2 stops in 2 days"\n'
        '  + ride#1 completed: "1 stops in 10 days"\n'
    )


def test_two_runs_are_drawn_as_one_picture(tour: Call, folder: Path) -> None:
    tour("fork", "t-1", TARGET, "--at", "2", "--state", '{"days": 9}', "--run-id", "f-1")
    out = tour("diff", "t-1", "f-1").out
    assert "◆ ride" in out
    assert "◐ run t-1 at 3, completed · ◑ run f-1 at 4, completed" in out
    assert "≠ they part at ride" in tour("diff", "t-1", "f-1", "--format", "mermaid").out
    assert tour("diff", "t-1", "f-1", "-o", "d.dot").err == "Wrote d.dot\n"
    assert (folder / "d.dot").read_text().startswith('digraph "tour"')
    assert tour("diff", "t-1", "f-1", "-o", "d.json").code == 0
    assert json.loads((folder / "d.json").read_text())["shared"] == 2
    said = "A comparison cannot be drawn as 'html'. Use one of text, mermaid, dot, svg, png."
    assert sentence(tour("diff", "t-1", "f-1", "-o", "d.html"), 2) == said


def test_two_checkpoints_are_drawn_as_they_were_then(tour: Call) -> None:
    out = tour("diff", "t-1", "--at", "1", "--at", "2", "--format", "mermaid").out
    assert "◆ <b>fly</b>" in out or "◑ <b>fly</b>" in out


def test_a_difference_as_json_has_every_part(tour: Call) -> None:
    tour("fork", "t-1", TARGET, "--at", "2", "--state", '{"days": 9}', "--run-id", "f-1")
    document = tour("diff", "t-1", "f-1", "--json").document
    assert (document["one"]["run_id"], document["other"]["seq"]) == ("t-1", 4)
    assert (document["same"], document["shared"], document["children"]) == (False, 2, [])
    assert document["parted"]["node"] == "ride"
    assert document["state"][-1] == {"path": "days", "one": "1", "other": "9"}
    assert [json.loads(change["other"]) for change in document["output"]] == ["1 stops in 10 days"]
    assert document["other"]["edits"][0]["fields"] == ["stops", "days"]
    assert set(document["one"]["cost"]) == {
        *("requests", "input_tokens", "output_tokens", "money", "attempts", "seconds"),
    }


def test_two_checkpoints_are_told_apart(tour: Call) -> None:
    for words in (("--at", "1", "--at", "2"), ("t-1", "--at", "1", "--at", "2")):
        out = tour("diff", "t-1", *words).out
        assert out.startswith("- run t-1, checkpoint 1, running\n+ run t-1, checkpoint 2, running\n")
        assert "Only one ran:\n  + fly#1\n" in out
        assert '  + stops[0] = "Oslo"\n' in out
    assert "+ run t-1, checkpoint 3, completed\n" in tour("diff", "t-1", "--at", "1").out
    assert "Nothing differs." in tour("diff", "t-1", "t-1").out


def test_what_to_compare_has_to_be_said(tour: Call) -> None:
    for words in (("t-1",), ("t-1", "t-1", "--at", "1"), ("t-1", "--at", "1", "--at", "2", "--at", "3")):
        assert "Name two runs, or one run and two of its checkpoints" in sentence(tour("diff", *words), 2)


def test_runs_inside_runs_are_listed_flat(call: Call, folder: Path) -> None:
    (folder / "nest.py").write_text(
        TOUR
        + """
outer = WorkflowBuilder(name="outer", input_type=str, output_type=str)
inner = outer.subworkflow(workflow, node_id="inner")
outer.edge(outer.start_node, inner)
outer.edge(inner, outer.end_node)
nest = outer.build()
"""
    )
    try:
        for run_id, place in (("n-1", "Oslo"), ("n-2", "Rome")):
            assert call("run", "nest:nest", "--input", json.dumps(place), "--run-id", run_id).code == 0
        document = call("diff", "n-1", "n-2", "--json").document
        assert call("diff", "n-1", "n-2", "--depth", "0", "--json").document["children"] == []
    finally:
        sys.modules.pop("nest", None)
    (child,) = document["children"]
    assert child["parent_runs"] == ["n-1", "n-2"]
    assert [outcome["visit"]["node"] for outcome in child["outcomes"]] == ["fly"]
