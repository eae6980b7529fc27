"""Several worker processes on one store: they share its runs, are killed and stopped, and no run is touched by two."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.shift import NODES, Yard, faults, yard

RUNS = [f"r-{number}" for number in range(100)]


@pytest.fixture(params=["sqlite", "postgres"])
def store(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    """A yard on either kind of store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    schema = request.getfixturevalue("schema") if request.param == "postgres" else None
    with yard(tmp_path, schema) as made:
        yield made


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_share_100_runs_and_every_node_of_each_runs_once(store: Yard, workers: int) -> None:
    hands = [store.hire() for _ in range(workers)]
    store.begin(RUNS)
    store.left("waiting", RUNS)
    store.send(RUNS)
    store.left("completed", RUNS)
    for hand in hands:
        hand.process.send_signal(signal.SIGTERM)

    assert [hand.ended() for hand in hands] == [0] * workers
    assert store.statuses() == {"completed": len(RUNS)}
    assert faults(store.effects(), RUNS) == []
    shares = store.shares()
    assert len(shares) == workers, f"They do not share: {shares}"
    assert sum(shares.values()) <= 2 * len(RUNS) + len(RUNS) // 10, f"What is done is taken up again: {shares}"


def test_when_a_worker_is_killed_in_the_middle_the_others_take_over_what_it_drove(store: Yard) -> None:
    hands = [store.hire() for _ in range(3)]
    store.begin(RUNS)
    store.listen(lambda heard: max(Counter(pid for pid, _ in heard).values(), default=0) > 20)
    busiest = store.shares().most_common(1)[0][0]
    victim, *others = sorted(hands, key=lambda hand: hand.process.pid != busiest)
    victim.process.kill()
    victim.ended()
    store.send(RUNS)  # some wait for it already, and some do not yet
    store.left("completed", RUNS)
    for hand in others:
        hand.process.send_signal(signal.SIGTERM)

    assert [hand.ended() for hand in others] == [0, 0]
    assert store.statuses() == {"completed": len(RUNS)}
    assert faults(store.effects(), RUNS, killed=[victim.process.pid]) == []


def test_a_time_that_came_while_no_worker_ran_is_met_by_the_next_one(store: Yard) -> None:
    store.begin(RUNS[:5])
    store.hire("errand.py:errand")
    store.left("waiting", RUNS[:5])
    assert faults(store.effects(), RUNS[:5]) == [f"last of {run} was done 0 times" for run in RUNS[:5]]


def test_a_run_inside_a_run_is_woken_by_its_time_and_by_what_is_sent_to_it(store: Yard) -> None:
    runs = RUNS[:20]
    hands = [store.hire("errand.py:outing") for _ in range(2)]
    store.begin(runs, "outing")
    store.left("waiting", runs)
    store.send(runs)
    store.left("completed", runs)
    for hand in hands:
        hand.process.send_signal(signal.SIGTERM)

    assert [hand.ended() for hand in hands] == [0, 0]
    assert store.statuses() == {"completed": 2 * len(runs)}
    assert faults(store.effects(), runs) == []


def test_a_run_that_two_would_touch_is_found_out() -> None:
    lines = [("in", "r", "begin", "1"), ("in", "r", "begin", "2"), ("out", "r", "begin", "2")]
    assert faults(lines, []) == ["r is in begin of 2 and in ('begin', '1')"]
    once = [(way, "r", node, "1") for node in NODES for way in ("in", "out")]
    assert faults(once, ["r"]) == []
    assert faults(once * 2, ["r"]) == [f"{node} of r was done 2 times" for node in NODES]
