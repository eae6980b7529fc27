"""`milepost check TARGET --store`: which stored runs of a workflow would go on with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import ORDER, Call

STORE = "sqlite:///runs.db"


def leave(call: Call, folder: Path, run: str = "r-1") -> None:
    """Leave a run that has failed at its second node."""
    (folder / "broken").touch()
    assert call("run", "flows:workflow", "--input", ORDER, "--run-id", run, "--store", STORE).code == 1
    (folder / "broken").unlink()


def edit(folder: Path, *changes: tuple[str, str], name: str = "newer") -> None:
    """Write the workflows anew under another name, so that they can be called beside the old ones."""
    text = (folder / "flows.py").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / f"{name}.py").write_text(text)


SHIPS = ("wf.edge(price, ship)", "wf.edge(price, send)"), ("wf.edge(ship, wf.end_node)", "wf.edge(send, wf.end_node)")
RENAMED = (*SHIPS, ("async def ship(", "async def send("))
VERSION = ('name="orders", input_type', 'name="orders", version=2, input_type')
MIGRATED = (
    "workflow = wf.build()",
    '@wf.migrate(from_version=1)\ndef to_2(stored): stored.rename("ship", "send")\nworkflow = wf.build()',
)


def test_runs_that_would_resume_migrate_and_not_are_told_apart(call: Call, folder: Path) -> None:
    leave(call, folder)
    edit(folder, *RENAMED)
    edit(folder, *RENAMED, VERSION, MIGRATED, name="newest")

    same = call("check", "flows:workflow", "--store", STORE)
    assert same.code == 0
    assert same.out.splitlines()[1:] == ["run r-1 (v1, failed) would resume"]

    gone = call("check", "newer:workflow", "--store", STORE)
    assert gone.code == 7
    assert gone.out.splitlines()[1:] == [
        "run r-1 (v1, failed) would not resume",
        (
            "  Node 'ship' has a task waiting, but the workflow has no such node any more. Give it back its id, or "
            "raise the version and migrate: stored.rename('ship', 'send')."
        ),
    ]

    migrated = call("check", "newest:workflow", "--store", STORE)
    assert migrated.code == 0
    assert migrated.out.splitlines()[1:] == [
        "run r-1 (v1, failed) would be migrated and resume",
        "  It goes from version 1 to 2.",
        "  'ship' is called 'send' now.",
    ]
    assert (folder / "effects.txt").read_text() == "price\n"
    assert call("resume", "r-1", "newer:workflow", "--store", STORE).code == 5
    assert call("resume", "r-1", "newest:workflow", "--store", STORE).out == "3 apples\n"
    assert (folder / "effects.txt").read_text() == "price\n"
    assert "orders v2" in call("runs", "--store", STORE).out
    assert call("check", "newer:workflow", "--store", STORE).out.endswith("No run of it is unfinished.\n")


def test_the_same_as_json(call: Call, folder: Path) -> None:
    leave(call, folder)
    edit(folder, *RENAMED)
    answer = call("check", "newer:workflow", "--store", STORE, "--json")
    assert (answer.code, answer.document["ok"], answer.document["faults"]) == (7, False, [])
    (run,) = answer.document["runs"]
    assert run.pop("reasons")[0].startswith("Node 'ship' has a task waiting")
    assert run == {
        "run_id": "r-1",
        "workflow": "orders",
        "version": 1,
        "status": "failed",
        "verdict": "refused",
        "parent_run": None,
    }
    assert "runs" not in call("check", "newer:workflow", "--json").document


def test_without_a_url_the_usual_store_is_asked(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = call("check", "flows:workflow", "--store")
    assert (missing.code, missing.out) == (8, "")
    assert missing.err.startswith("There is no store at 'sqlite:///.milepost/runs.db' yet.")
    leave(call, folder)
    monkeypatch.setenv("MILEPOST_STORE", STORE)
    assert "run r-1 (v1, failed) would resume" in call("check", "flows:workflow", "--store").out
    assert "r-1" not in call("check", "flows:workflow").out


def test_an_unsound_workflow_is_told_and_no_store_is_opened(call: Call, folder: Path) -> None:
    answer = call("check", "flows:unsound", "--store", STORE)
    assert answer.code == 7
    assert all(line.startswith("fault: ") for line in answer.out.splitlines())
    assert not (folder / "runs.db").exists()
