"""A process that is killed while its run waits: what is said meanwhile is found, and nothing that ran runs again."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import anyio
import pytest

from milepost import Engine, RunCancelled
from milepost.engine.journal import Kind
from tests.crash.evidence import Evidence, gathered
from tests.crash.life import RUN
from tests.crash.patient import WAITS, Death, When, live, store_at
from tests.postgres import Schema

ONCE = {"prepare": 1, "approve": 1, "note": 1, "book": 1, "close": 1}

nursery = get_context("forkserver")
nursery.set_forkserver_preload(["__main__", "tests.crash.warm", "tests.crash.warm_patient"])


class Mortal:
    """One run in a folder, or in a schema of a server, the lives of its processes, and what is said to it."""

    def __init__(self, folder: Path, schema: Schema | None) -> None:
        self.folder = folder
        self.schema = schema
        self.effects = folder / "effects"
        self.effects.touch()
        self.place = str(folder) if schema is None else f"{schema.dsn}#{schema.name}"

    def born(self, death: Death | None = None) -> ForkServerProcess:
        process = nursery.Process(target=live, args=(str(self.folder), self.place, death))
        process.start()
        return process

    def buried(self, process: ForkServerProcess) -> bool:
        """Wait until a process is dead. Returns whether it was killed."""
        process.join(30)
        assert not process.is_alive(), f"It waits for ever: {self.lines()}"
        if self.schema is not None:
            self.schema.bury()
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode != 0

    def until(self, line: str, times: int = 1) -> None:
        """Wait until a life has written something."""
        deadline = time.monotonic() + 60
        while self.lines().count(line) < times:
            assert time.monotonic() < deadline, self.lines()
            time.sleep(0.0005)

    def killed_at_rest(self) -> None:
        """Live until the run waits, and be killed then."""
        process = self.born()
        self.until(WAITS, self.lines().count(WAITS) + 1)
        process.kill()
        assert self.buried(process)

    def dead_or_at_rest(self, death: Death) -> bool:
        """Live until the process dies by itself, or until its run waits. Returns whether it has died by itself."""
        rested = self.lines().count(WAITS)
        process = self.born(death)
        while process.is_alive() and self.lines().count(WAITS) == rested:
            time.sleep(0.0005)
        died = not process.is_alive()
        process.kill()
        assert self.buried(process)
        return died

    def say(self) -> None:
        """Answer the question and tell of the event, from a process without the code."""

        async def main() -> None:
            async with Engine(store_at(self.place)) as engine:
                await engine.answer(RUN, "approve", 3, by="ann")
                await engine.send(RUN, "paid", 4, by="bank")

        anyio.run(main)

    def cancel(self) -> str:
        """End the run for good from this process. Returns how it stands then."""

        async def main() -> str:
            async with Engine(store_at(self.place)) as engine:
                return await engine.cancel(RUN)

        return anyio.run(main)

    def lines(self) -> list[str]:
        return self.effects.read_text().splitlines()

    def ran(self) -> Counter[str]:
        return Counter(line.split()[1] for line in self.lines() if line[0] not in "=~")

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def evidence(self) -> Evidence:
        return gathered(self.lines(), store_at(self.place))


def faults(evidence: Evidence) -> list[str]:
    """Return what must not be; a question that is committed is not asked again either."""
    asked = [replace(one, kind=Kind.COMPLETED) for one in evidence.records if one.kind is Kind.ASKED]
    questions = replace(evidence, records=asked, spawned={one.seq: [] for one in asked})
    return [*evidence.faults(), *questions.faults()]


@pytest.fixture(params=["sqlite", "postgres"])
def mortal(tmp_path: Path, request: pytest.FixtureRequest) -> Mortal:
    """A run on either kind of store."""
    return Mortal(tmp_path, request.getfixturevalue("schema") if request.param == "postgres" else None)


def test_what_is_said_while_the_process_is_dead_is_found_and_everything_ran_once(mortal: Mortal) -> None:
    for _ in range(3):
        mortal.killed_at_rest()
    mortal.say()
    assert not mortal.buried(mortal.born())

    assert mortal.output() == "43"
    assert mortal.ran() == ONCE
    assert faults(mortal.evidence()) == []


def test_a_process_that_dies_after_every_record_of_waking_runs_everything_once(mortal: Mortal) -> None:
    mortal.killed_at_rest()
    mortal.say()
    lives = 1
    while mortal.buried(mortal.born(Death("after", 1))):
        lives += 1

    assert lives > 4, "Too few lives died while they woke."
    assert mortal.output() == "43"
    evidence = mortal.evidence()
    assert faults(evidence) == []
    begun = {line.split()[0] for line in evidence.lines if line[0] not in "=~"}
    assert len(begun) == len(ONCE)


@pytest.mark.parametrize("record", [1, 2])
def test_a_process_that_dies_before_its_wakening_is_committed_takes_the_same_message_again(
    mortal: Mortal, record: int
) -> None:
    mortal.killed_at_rest()
    mortal.say()
    for _ in range(2):
        assert mortal.buried(mortal.born(Death("before", record)))
    assert not mortal.buried(mortal.born())

    assert mortal.output() == "43"
    assert faults(mortal.evidence()) == []
    assert {node: mortal.ran()[node] for node in ("prepare", "approve")} == {"prepare": 1, "approve": 1}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("record", [1, 2, 3])
def test_a_process_that_dies_as_it_asks_asks_again_only_what_is_not_committed(
    mortal: Mortal, record: int, when: When
) -> None:
    died = mortal.dead_or_at_rest(Death(when, record))
    assert died or record == 3, "Only the last records may be committed together."
    mortal.killed_at_rest()
    mortal.say()
    assert not mortal.buried(mortal.born())

    assert mortal.output() == "43"
    assert faults(mortal.evidence()) == []


def test_a_process_that_is_killed_at_any_moment_after_it_was_answered_loses_nothing(mortal: Mortal) -> None:
    chance = random.Random(5)
    process = mortal.born()
    mortal.until(WAITS)
    mortal.say()
    for _ in range(12):
        time.sleep(chance.random() * 0.02)
        process.kill()
        if not mortal.buried(process):
            break
        process = mortal.born()
    mortal.buried(process)

    assert mortal.output() == "43"
    assert faults(mortal.evidence()) == []
    assert mortal.ran()["approve"] == 1


def test_a_run_that_waits_in_a_process_is_cancelled_from_another_one(mortal: Mortal) -> None:
    process = mortal.born()
    mortal.until(WAITS)

    assert mortal.cancel() == "cancelled"

    assert not mortal.buried(process)
    assert mortal.output() == "cancelled"
    assert mortal.ran() == {"prepare": 1, "approve": 1}


def test_a_run_whose_process_was_killed_as_it_waited_is_cancelled_and_goes_on_nowhere(mortal: Mortal) -> None:
    mortal.killed_at_rest()
    assert mortal.cancel() == "cancelled"
    with pytest.raises(RunCancelled):
        mortal.say()

    assert not mortal.buried(mortal.born())
    assert mortal.output() == "cancelled"
    assert mortal.ran() == {"prepare": 1, "approve": 1}


def test_a_process_that_is_stopped_leaves_the_run_as_it_waits_to_another_one(mortal: Mortal) -> None:
    first = mortal.born()
    mortal.until(WAITS)
    second = mortal.born()
    mortal.until(WAITS, 2)
    first.terminate()
    first.join(30)
    assert first.exitcode == 0
    assert mortal.output() == "waiting"
    mortal.say()

    second.join(30)
    assert second.exitcode == 0
    assert mortal.output() == "43"
    assert mortal.ran() == ONCE
    assert faults(mortal.evidence()) == []


def test_a_question_that_is_asked_again_though_it_is_committed_is_found_out(tmp_path: Path) -> None:
    mortal = Mortal(tmp_path, None)
    mortal.killed_at_rest()
    mortal.say()
    assert not mortal.buried(mortal.born())
    evidence = mortal.evidence()
    (question,) = [line for line in evidence.lines if line.endswith(" approve")]
    waiting = next(one.seq for one in evidence.records if one.kind is Kind.ASKED and one.node == "approve")

    again = [*evidence.lines[:3], f"= {waiting}", question]

    assert any(f"ran again, committed as {waiting}" in fault for fault in faults(replace(evidence, lines=again)))
