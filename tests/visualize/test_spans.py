"""What each task did with its time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given

from milepost.engine.trace import TaskTrace, Trace
from milepost.visualize.palette import Status
from milepost.visualize.spans import BarKind, History, life_of, moments, spans_of
from tests.visualize.subjects import START, task
from tests.visualize.timelines import at, did, run, timed_traces, waited


def spans(one: TaskTrace, trace: Trace, end: float) -> list[tuple[str, float, float, str]]:
    found = spans_of(one, life_of(trace, START, end))
    return [(str(span.kind), round(span.start, 6), round(span.stop, 6), str(span.status)) for span in found]


def test_a_task_waits_to_begin_and_runs() -> None:
    one = did("prepare", 1, (3, 5))
    assert spans(one, run([one], 9), 9) == [("waiting", 1, 3, "pending"), ("running", 3, 5, "done")]


def test_attempts_that_failed_are_told_apart_with_the_waits_between_them() -> None:
    one = did("prepare", 0, (0, 1, "OSError: no"), (3, 4, "OSError: no"), (5, 6))
    found = spans_of(one, life_of(run([one], 9), START, 9))
    assert [span.kind for span in found] == [
        BarKind.ATTEMPT,
        BarKind.WAITING,
        BarKind.ATTEMPT,
        BarKind.WAITING,
        BarKind.RUNNING,
    ]
    assert [span.number for span in found if span.kind is not BarKind.WAITING] == [1, 2, 3]
    assert (found[0].error, found[-1].status) == ("OSError: no", Status.RETRIED)


def test_the_last_attempt_of_a_failed_task_is_the_failure() -> None:
    one = did("prepare", 0, (0, 1, "OSError: no"), (3, 4, "OSError: no"), status="failed")
    assert spans(one, run([one], 9), 9)[-1] == ("running", 3, 4, "failed")


def test_a_journal_that_tells_only_of_the_last_attempt_shows_that() -> None:
    one = task("prepare", (2, 4), attempts=3)
    assert spans(one, run([one], 9), 9) == [("running", 2, 4, "retried")]


def test_a_question_is_a_persons_time_and_an_event_and_a_sleep_are_the_worlds() -> None:
    for wait, wanted in (
        (waited("ask", 2, 7), "people"),
        (waited("event", 2, 7), "world"),
        (waited("time", 2, 7), "world"),
        (waited("race", 2, 7), "world"),
    ):
        one = did("approve", 1, (2, 7), finished=7, wait=wait)
        assert spans(one, run([one], 9), 9) == [("waiting", 1, 2, "pending"), (wanted, 2, 7, "done")]


def test_a_race_with_a_question_in_it_is_a_persons_time() -> None:
    one = did("approve", 1, finished=7, wait=waited("race", 1, 7, text="Is that fine?"))
    assert spans(one, run([one], 9), 9) == [("people", 1, 7, "done")]


def test_what_is_still_waited_for_lasts_until_now() -> None:
    one = did("approve", 1, status="waiting", wait=waited("ask", 1))
    assert spans(one, run([one], 5, status="waiting"), 20) == [("people", 1, 20, "waiting")]


def test_a_task_whose_run_inside_the_run_waits_is_shown_at_work_and_waiting() -> None:
    one = did("gather", 1, status="waiting", child="child")
    assert spans(one, run([one], 5, status="waiting"), 20) == [("running", 1, 20, "waiting")]


def test_what_runs_now_has_run_since_the_last_resume_at_most() -> None:
    one = did("prepare", 1, status="running")
    assert spans(one, run([one], 5, status="running"), 20) == [("running", 1, 20, "running")]
    assert spans(one, run([one], 5, status="running", resumes=(8,)), 20) == [
        ("waiting", 1, 8, "pending"),
        ("running", 8, 20, "running"),
    ]


def test_what_nobody_works_on_waits() -> None:
    one = did("prepare", 1, status="pending")
    assert spans(one, run([one], 5, status="running"), 20) == [("waiting", 1, 20, "pending")]


def test_what_was_cancelled_before_anything_is_known_of_it_has_waited() -> None:
    one = did("prepare", 1, status="cancelled", finished=4)
    assert spans(one, run([one], 5), 9) == [("waiting", 1, 4, "cancelled")]


def test_what_came_from_a_cache_took_no_time() -> None:
    one = did("prepare", 1, finished=2)
    assert spans(one, run([one], 5), 9) == [("waiting", 1, 2, "pending"), ("running", 2, 2, "done")]


def test_a_task_that_drives_a_run_is_as_busy_as_that_run() -> None:
    child = run([did("prepare", 1, (1, 2)), did("score", 50, (50, 51), cause="prepare 1")], 51, run_id="child")
    outer = run([did("gather", 0, (0, 52), child="child")], 52, children=[child])
    assert sorted(History(START, 52).busy(outer)) == [(1, 2), (50, 51)]


@given(timed_traces())
def test_spans_follow_each_other_within_the_life_of_the_run(trace: Trace) -> None:
    known = list(moments(trace))
    begin = min(known)
    end = (max(known) - begin).total_seconds()
    for found in History(begin, end).spans(trace):
        assert found
        assert found[0].start >= 0
        assert found[-1].stop <= end
        assert all(span.start <= span.stop for span in found)
        assert all(before.stop == after.start for before, after in pairwise(found))


def test_moments_are_all_that_a_run_tells_of() -> None:
    trace = run([did("prepare", 1, (3, 5))], 9, resumes=(7,))
    assert set(moments(trace)) == {START, at(1), at(3), at(5), at(7), at(9)}
    assert max(moments(trace)) == at(9)
