"""What the picture of a run shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from milepost.engine.trace import JoinTrace, TaskTrace, Trace
from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode
from milepost.visualize.overlay import error_line, error_name, facts, notice, spread, task_name, task_status, traced
from milepost.visualize.palette import Status
from tests.visualize.subjects import CLAIMS, COMPLETED, FAILED, RUNNING, START, definition, edge, node, task


def drawn(diagram: Diagram, id_: str) -> DrawnNode:
    return next(item for item in diagram.nodes if item.id == id_)


def arrow(diagram: Diagram, source: str, target: str) -> DrawnEdge:
    return next(item for item in diagram.edges if (item.source, item.target) == (source, target))


def mapped(*tasks: TaskTrace) -> DrawnNode:
    """Draw a map of some tasks."""
    return drawn(traced(replace(FAILED, tasks=tasks)), "review")


def test_a_visit_counts_and_a_retry_is_told_apart() -> None:
    box = drawn(traced(COMPLETED), "analyse")
    assert (box.status, box.times) == (Status.RETRIED, "× 2")
    assert box.detail == "↻ 1 retry · 21.3 s · 11.0k tok · $0.11"


def test_the_kind_of_a_node_keeps_its_shape_in_a_run() -> None:
    assert [item.kind for item in traced(COMPLETED).nodes][:4] == ["start", "function", "agent", "decision"]


def test_items_that_ran_side_by_side_count_once_in_the_time_of_a_map() -> None:
    assert "8.0 s" in drawn(traced(COMPLETED), "review").detail


def test_a_map_has_a_strip_of_its_items() -> None:
    assert drawn(traced(FAILED), "review").strip == (Status.DONE, Status.FAILED, Status.CANCELLED)


def test_a_strip_that_is_too_long_becomes_words() -> None:
    items = [task("review", (0, 1), visit=number + 1, index=number) for number in range(40)]
    assert mapped(*items).strip == ()
    assert mapped(*items).detail.startswith("40 of 40 done")
    items[3] = task("review", (0, 1), status="failed", error="KeyError: 'x'")
    items[4] = task("review", None, status="pending", attempts=0)
    assert mapped(*items).detail.startswith("38 of 40, 1 failed")
    assert mapped(*items).detail.endswith("\nKeyError: 'x'")


def test_a_large_group_says_how_long_its_tasks_took_by_percentiles() -> None:
    items = [task("review", (0, number + 1), visit=number + 1, index=number) for number in range(100)]
    assert "\np50 50.0 s · p95 1 min 35 s · max 1 min 40 s" in mapped(*items).detail
    assert spread(items[:12]) == ""
    assert spread(items[:13]) == "p50 7.0 s · p95 13.0 s · max 13.0 s"


def test_an_empty_map_that_was_passed_has_no_items() -> None:
    taken = {edge_: times for edge_, times in COMPLETED.taken.items() if edge_[0] != "gather_each_review"}
    tasks = tuple(item for item in COMPLETED.tasks if item.node != "review")
    assert drawn(traced(replace(COMPLETED, tasks=tasks, taken=taken)), "review").times in ("× 0", "× N")


def test_the_failure_is_solid_and_named_in_the_title() -> None:
    diagram = traced(FAILED)
    assert drawn(diagram, "review").status is Status.FAILED
    assert diagram.notice == "✗ failed at review[1] · ValueError"
    assert drawn(diagram, "review").detail == (
        "1 of 3 done · ↻ 1 retry · 9.0 s · 4.0k tok · $0.04\nValueError: no weight"
    )


def test_a_run_that_failed_outside_a_task_still_says_why() -> None:
    trace = replace(COMPLETED, status="failed", error="RoutingError: the condition of 'score' failed")
    assert traced(trace).notice == "✗ failed · RoutingError"


def test_what_the_run_passed_by_is_not_taken_and_what_lies_ahead_is_not_reached() -> None:
    diagram = traced(FAILED)
    assert drawn(diagram, "normal").detail == "not reached"
    assert drawn(diagram, "score").detail == "not reached"
    assert drawn(traced(RUNNING), "accept").detail == "not reached"
    assert drawn(traced(COMPLETED), "reject").detail == "not reached"


def test_a_run_that_has_not_begun_has_reached_nothing() -> None:
    diagram = traced(
        Trace(run_id="r", status="running", definition=CLAIMS, created=START, updated=START, tasks=(), taken={})
    )
    assert {item.status for item in diagram.nodes} == {Status.UNREACHED}
    assert {item.detail for item in diagram.nodes} <= {"", "not reached"}


def test_a_taken_edge_has_its_condition_the_deciding_value_and_its_count() -> None:
    diagram = traced(COMPLETED)
    assert arrow(diagram, "score_decision", "accept").lines == ("otherwise", "was Score(value=0.83)")
    assert arrow(diagram, "analyse", "triage").lines == ("× 2",)
    assert arrow(diagram, "review", "collect").lines == ("3 of 3",)
    assert arrow(diagram, "triage", "normal").taken == 0


def test_a_value_that_only_repeats_the_condition_is_not_shown_twice() -> None:
    assert arrow(traced(COMPLETED), "triage", "high_risk").lines == ("high",)


def test_a_loop_that_was_passed_often_says_how_often() -> None:
    taken = {**COMPLETED.taken, ("triage_choice", "analyse", 2): 7}
    assert arrow(traced(replace(COMPLETED, taken=taken)), "triage", "analyse").lines == ("unclear", "× 7")


def test_a_join_that_collects_is_still_to_do_and_one_that_will_never_fire_is_not_reached() -> None:
    assert drawn(traced(RUNNING), "collect").status is Status.PENDING
    assert drawn(traced(FAILED), "collect").status is Status.UNREACHED
    often = replace(COMPLETED, joins=(JoinTrace(node="collect", items=6, fired=2),))
    assert drawn(traced(often), "collect").times == "× 2"


def test_a_running_map_shows_what_is_done_running_and_to_do() -> None:
    box = drawn(traced(RUNNING), "review")
    assert box.status is Status.RUNNING
    assert box.strip == (Status.DONE, Status.RUNNING, Status.PENDING)
    assert box.detail == "1 of 3 done · 16.0 s"
    assert traced(RUNNING).notice == "▸ running at review"


def test_a_node_that_waits_says_how_long() -> None:
    waiting = task("gather", (23, None), status="waiting", attempts=0)
    trace = replace(RUNNING, status="waiting", updated=START + timedelta(seconds=23 + 8040), tasks=(waiting,))
    assert drawn(traced(trace), "gather").detail == "waiting 2 h 14 min"
    assert traced(trace).notice == "‖ waiting for gather"
    assert notice(replace(trace, tasks=())) == "waiting"


def test_waiting_for_a_person_is_no_active_time() -> None:
    waiting = task("gather", (0, None), status="waiting", attempts=0)
    assert "<1 ms active" in facts(replace(RUNNING, tasks=(waiting,)))


def test_tasks_that_were_cancelled_on_the_way_do_not_hide_the_one_that_won() -> None:
    tasks = (task("review", (0, 1), index=0), task("review", (0, 1), index=1, status="cancelled"))
    assert drawn(traced(replace(COMPLETED, tasks=tasks)), "review").status is Status.DONE
    assert drawn(traced(replace(COMPLETED, tasks=tasks, status="cancelled")), "review").status is Status.CANCELLED


def test_the_facts_of_a_run_are_its_totals() -> None:
    assert facts(replace(COMPLETED, resumes=(START,))) == (
        "run 8f3a21",
        "31.7 s active",
        "23.0k tokens",
        "$0.23",
        "14 checkpoints",
        "resumed",
    )
    assert facts(replace(COMPLETED, resumes=(START, START)))[-1] == "resumed 2 times"


def test_a_node_that_names_the_next_one_itself_is_drawn_past_the_decision() -> None:
    nodes = [node("Parse"), node("decision", "decision", generated=True), node("Repair"), node("Done")]
    edges = [
        edge("__start__", "Parse"),
        edge("Parse", "decision"),
        edge("decision", "Repair", 0, "Repair"),
        edge("decision", "Done", 1, "Done"),
        edge("Repair", "Parse"),
    ]
    trace = replace(
        COMPLETED,
        definition=definition(nodes, edges),
        tasks=(task("Parse", (0, 1)), task("Done", (1, 2))),
        taken={
            ("__start__", "Parse", 0): 1,
            ("Parse", "Done", 0): 1,
            ("Done", "Repair", 0): 2,
            ("Repair", "Parse", 9): 1,
        },
        joins=(),
    )
    diagram = traced(trace)
    assert arrow(diagram, "Parse", "decision").taken == 1
    assert arrow(diagram, "decision", "Done").taken == 1
    assert arrow(diagram, "decision", "Repair").taken == 0
    assert drawn(diagram, "decision").status is Status.DONE
    undeclared = arrow(diagram, "Done", "Repair")
    assert (undeclared.taken, undeclared.lines) == (2, ("× 2",))
    assert arrow(diagram, "Repair", "Parse").taken == 1


def test_what_was_there_already_is_told_apart_and_says_from_where() -> None:
    cached = replace(task("prepare", (0, 0.1)), cached=True)
    inherited = replace(task("gather", (0, 1)), seq=4)
    fresh = replace(task("score", (0, 1)), seq=5)
    diagram = traced(replace(COMPLETED, tasks=(cached, inherited, fresh), forked_from=("the run before", 4)))
    assert (drawn(diagram, "prepare").status, drawn(diagram, "prepare").detail) == (
        Status.REUSED,
        "from the cache · 100 ms",
    )
    assert drawn(diagram, "gather").detail == "from the run before · 1.0 s"
    assert drawn(diagram, "score").status is Status.DONE
    assert "forked from the run before" in diagram.facts
    assert Status.REUSED in diagram.legend


def test_a_map_with_some_items_from_the_cache_says_how_many() -> None:
    items = tuple(replace(task("review", (0, 1), index=index), cached=index < 2) for index in range(3))
    box = mapped(*items)
    assert (box.status, box.detail) == (Status.DONE, "2 of 3 from the cache · 1.0 s")
    assert box.strip == (Status.REUSED, Status.REUSED, Status.DONE)


def test_the_legend_has_only_what_is_used() -> None:
    assert traced(FAILED).legend == (
        Status.DONE,
        Status.RETRIED,
        Status.FAILED,
        Status.CANCELLED,
        Status.UNREACHED,
    )


def test_names_and_statuses_of_tasks() -> None:
    assert task_name(task("a", None, visit=2)) == "a#2"
    assert task_name(task("a", None)) == "a"
    assert task_status(task("a", None, status="pending")) is Status.PENDING
    assert error_name("pkg.mod.Strange: it") == "Strange"
    assert error_line("pkg.mod.Strange: it broke\n  at line 3") == "Strange: it broke"
    assert error_line("out of luck, said pkg.mod: twice") == "out of luck, said pkg.mod: twice"
