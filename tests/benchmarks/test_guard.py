"""The guard: what costs more instructions than it did is a loss, and the counts are of what they should be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.guard.counts import ROOT, Done, NotCounted, before, per_unit, revision, total, unpack, work
from benchmarks.guard.verdict import Change, compare, told
from benchmarks.guard.work import COUNTED

LOG = "==17== Cachegrind\n==17== \n==17== I   refs:      2,643,730,479\n"


def test_a_sixth_more_work_is_a_loss_and_named() -> None:
    changes = compare({"loop": 1_000.0, "map": 500.0}, {"loop": 1_160.0, "map": 500.0})
    assert [change.is_loss for change in changes] == [True, False]
    assert "More than 15% more work than abc123: loop." in told(changes, "abc123")
    assert "+16.0%  LOSS" in told(changes, "abc123")


def test_less_than_that_and_less_work_are_none() -> None:
    changes = compare({"loop": 1_000.0, "map": 500.0}, {"loop": 1_140.0, "map": 100.0})
    assert not any(change.is_loss for change in changes)
    assert told(changes, "abc123").endswith("Nothing is more than 15% more work than in abc123.")


def test_a_new_job_has_nothing_to_lose() -> None:
    (change,) = compare({}, {"loop": 1_000.0})
    assert not change.is_loss
    assert str(change).endswith("new")


def test_a_job_that_is_counted_no_more_is_left_out() -> None:
    assert compare({"loop": 1.0, "gone": 1.0}, {"loop": 1.0}) == [Change("loop", 1.0, 1.0)]


def test_what_was_there_before_the_steps_is_not_counted() -> None:
    done = [Done(1, None, 0), Done(2, "loop", 100), Done(3, "loop", 600)]
    assert per_unit(done, {1: 5_000, 2: 6_000, 3: 31_000}) == {"import": 5_000.0, "loop": 50.0}


def test_the_number_is_read_from_what_valgrind_writes() -> None:
    assert total(LOG) == 2_643_730_479
    with pytest.raises(NotCounted, match="counted nothing"):
        total("==17== killed")


def test_the_work_is_done_right_by_this_engine() -> None:
    done = work(ROOT)
    assert [one.name for one in done] == [None, *(counted.name for counted in COUNTED for _ in range(2))]
    assert len({one.process for one in done}) == len(done)


def test_the_engine_that_is_counted_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NotCounted, match="The engine was to come from"):
        work(tmp_path)


def test_a_commit_that_is_not_here_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotCounted, match="fatal: not a "):
        unpack("0" * 40, tmp_path)


def test_without_a_history_there_is_nothing_to_compare_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.guard.counts.ROOT", tmp_path)
    assert before() is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (tmp_path / "milepost").mkdir()
    (tmp_path / "milepost" / "a.py").write_text("", encoding="utf-8")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    assert before() is None


def test_the_commit_before_the_newest_change_of_the_package_is_compared_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.guard.counts.ROOT", tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    file = tmp_path / "milepost" / "a.py"
    file.parent.mkdir()
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    for number in range(2):
        file.write_text(f"a = {number}\n", encoding="utf-8")
        subprocess.run([*git, "add", "."], cwd=tmp_path, check=True)
        subprocess.run([*git, "commit", "-qm", str(number)], cwd=tmp_path, check=True)
    (tmp_path / "README").write_text("", encoding="utf-8")
    subprocess.run([*git, "add", "."], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-qm", "no change of the package"], cwd=tmp_path, check=True)
    assert before() == revision(["rev-parse", "--short", "HEAD~2"])
    file.write_text("a = 3\n", encoding="utf-8")
    assert before() == revision(["rev-parse", "--short", "HEAD"])
