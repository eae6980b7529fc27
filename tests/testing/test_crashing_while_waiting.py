"""`crash_everywhere` with a workflow that waits: what is said to it is said again to whoever goes on with it."""

from __future__ import annotations

import pytest

from milepost.testing import crash_everywhere
from milepost.testing.lives import NothingComes
from tests.testing.waiting import WAITING

SAID = {"rate": 4, "first": 7}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_workflow_that_waits_survives_a_crash_after_every_record(backend: str) -> None:
    report = crash_everywhere(
        WAITING, inputs=[1, 2], answers=SAID, events={"paid": 3}, backend="trio" if backend == "trio" else "asyncio"
    )
    assert report.output == 7
    assert report.records > 15
    assert report.ran["prepare"] >= 2 * report.records


def test_real_processes_that_are_killed_while_they_wait_go_on_where_they_were() -> None:
    report = crash_everywhere(
        "tests.testing.waiting:WAITING", inputs=[1], answers=SAID, events={"paid": 3}, kills="SIGKILL"
    )
    assert report.output == 7
    assert report.crashes >= report.records


def test_what_nobody_says_is_told() -> None:
    with pytest.raises(NothingComes, match=r"node 'paid' waits for what nobody says to it"):
        crash_everywhere(WAITING, inputs=[1], answers=SAID)
