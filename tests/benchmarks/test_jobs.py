"""What the jobs ask of everybody is the same."""

from __future__ import annotations

import pytest

from benchmarks.graphs import state_of
from benchmarks.jobs import Job, Kind


@pytest.mark.parametrize("kind", Kind)
def test_the_engines_of_others_begin_with_the_pages_that_ours_begins_with(kind: Kind) -> None:
    job = Job(kind, 3)
    ours = state_of(job)
    assert job.beginning == {"value": 0} | ({} if ours is None else {"pages": ours.pages})
