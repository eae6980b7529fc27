"""`crash_everywhere` with real processes that are killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from milepost import Again, Done
from milepost.testing import CrashFound, Effects, crash_everywhere
from milepost.testing.nursery import ProcessFailed
from tests.testing import flows
from tests.testing.flows import CLAIM

FLOWS = flows.__file__


def killed(name: str, inputs: Any = None, **options: Any) -> Any:
    return crash_everywhere(f"{FLOWS}:{name}", inputs, kills="SIGKILL", **options)


def test_a_workflow_that_holds_comes_through_every_kill(tmp_path: Path) -> None:
    report = killed("once", 5, deps=f"{FLOWS}:bank", settle={"transfer": Again()}, folder=tmp_path)

    assert report.records == 3
    assert report.crashes == 6
    Effects(tmp_path / "effects").assert_once("transfer")
    assert {file.name[-4:] for file in tmp_path.iterdir()} >= {"0.db", "1.db", "4.db"}


def test_runs_inside_runs_and_the_state_come_through_kills(tmp_path: Path) -> None:
    report = killed(
        "workflow", CLAIM, state=flows.Notes(person="nobody"), deps=f"{FLOWS}:bank",
        store=f"sqlite:///{tmp_path / 'runs.db'}?durability=process", at=[4, 9, 14, 21, 30], folder=tmp_path,
    )  # fmt: skip

    assert report.records == 31
    assert report.crashes == 5
    flows.assert_paid(Effects(tmp_path / "effects"), report, payments=3)


def test_what_is_lost_with_a_process_is_missed(tmp_path: Path) -> None:
    with pytest.raises(
        CrashFound, match=r"record 3 .* the output is another one. At output\[1\] it is 1, without a crash 2"
    ):
        killed("counted", at=[3], folder=tmp_path, store=f"{FLOWS}:file_of_runs")


def test_what_a_person_says_is_handed_over(tmp_path: Path) -> None:
    outputs: list[tuple[str, str]] = []

    def same(expected: str, other: str) -> bool:
        outputs.append((expected[:14], other))
        return True

    killed("once", 5, deps=f"{FLOWS}:bank", settle={"transfer": Done("by hand")}, same_output=same, at=[2])

    assert outputs == [("5 paid, receip", "by hand")]


def test_a_run_that_cannot_go_on_after_a_kill_says_why(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        CrashFound, match=r"the run could not go on\. ProcessFailed: NotSettled: what may run at most once"
    ):
        killed("once", 5, deps=f"{FLOWS}:bank", at=[2])

    assert "OutcomeUnknown" in capfd.readouterr().err


def test_a_process_that_cannot_begin_says_why() -> None:
    with pytest.raises(ProcessFailed, match="InputError: Workflow 'paying once' needs deps of type 'Bank'"):
        killed("once", 5)


def written(folder: Path, name: str, body: str, head: str = "") -> str:
    """Write a workflow whose one node does something odd when it is run again, and return its name."""
    (folder / f"{name}.py").write_text(ODD.format(name=name, head=head, body=body))
    return f"{folder / name}.py:workflow"


ODD = """
import os, sys, time
from pathlib import Path
from anyio import sleep_forever
from milepost import StepContext, WorkflowBuilder
{head}
wf = WorkflowBuilder(name="{name}", output_type=int)
mark = Path(__file__).with_name("mark")

@wf.function
async def odd(ctx: StepContext[None, None, None]) -> int:
    if mark.exists():
        {body}
    mark.touch()
    return 1

wf.edge(wf.start_node, odd)
wf.edge(odd, wf.end_node)
workflow = wf.build()
"""


def test_a_life_that_lasts_too_long_is_ended(tmp_path: Path) -> None:
    waiting = written(tmp_path, "waiting", "await sleep_forever()")

    with pytest.raises(CrashFound, match=r"DidNotEnd: run 'crash-.*' did not end within 0\.3 seconds"):
        crash_everywhere(waiting, kills="SIGKILL", timeout=0.3, folder=tmp_path)


def test_a_life_that_cannot_even_be_ended_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("milepost.testing.nursery.GRACE", 0.5)
    blocking = written(tmp_path, "blocking", "time.sleep(600)")

    with pytest.raises(CrashFound, match=r"DidNotEnd: run 'crash-.*' did not end within 1 seconds"):
        crash_everywhere(blocking, kills="SIGKILL", timeout=1.0, folder=tmp_path)


def test_a_process_that_ends_by_itself_is_told(tmp_path: Path) -> None:
    leaving = written(tmp_path, "leaving", "os._exit(3)")

    with pytest.raises(CrashFound, match=r"ProcessFailed: its process ended with 3; its own error is on stderr"):
        crash_everywhere(leaving, kills="SIGKILL", folder=tmp_path)


def test_a_workflow_that_only_this_process_can_import_is_told(tmp_path: Path) -> None:
    ending = written(tmp_path, "ending", "pass", head="if 'pytest' not in sys.modules: os._exit(3)")
    with pytest.raises(ProcessFailed, match=r"The process that is to run the workflow cannot\. It has ended"):
        crash_everywhere(ending, kills="SIGKILL", folder=tmp_path)

    failing = written(tmp_path, "failing", "pass", head="if 'pytest' not in sys.modules: raise OSError('no')")
    with pytest.raises(ProcessFailed, match=r"cannot\. BadTarget: '.*failing\.py' cannot be imported: OSError: no"):
        crash_everywhere(failing, kills="SIGKILL", folder=tmp_path)
