"""What is said about figures: medians, ratios pair by pair, aims, where a peer is better, and in the README."""

from __future__ import annotations

from dataclasses import replace
from math import log10
from pathlib import Path

import pytest

from benchmarks.aims import AIMS, Aim, Cell, Size
from benchmarks.child import Measured
from benchmarks.figures import ALL_DISK, DISK, STEP_TIME, Spread, main_quantity, ratio
from benchmarks.jobs import Job, Kind
from benchmarks.page import better, markdown
from benchmarks.plots import apart, draw
from benchmarks.quoting import BEGIN, END, NoSection, quoted, section
from benchmarks.report import aims, amount, heading, share
from tests.benchmarks.figures_made import LOOP, figures, report, told

MAPS = Job(Kind.MAP, 10), Job(Kind.MAP, 1_000)
LOOP_AIM = Aim("a loop", Cell(Kind.LOOP, "milepost"), Cell(Kind.LOOP, "pydantic-graph"), 1 / 8)


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    assert ratio({0: 10.0, 1: 20.0, 2: 90.0}, {0: 100.0, 1: 100.0, 2: 100.0}) == Spread(0.2, 0.1, 0.9, 3)


def test_a_slow_moment_that_meets_both_does_not_change_their_ratio() -> None:
    assert ratio({0: 10.0, 1: 1_000.0}, {0: 100.0, 1: 10_000.0}) == Spread(0.1, 0.1, 0.1, 2)


def test_a_ratio_is_of_numbers_of_the_same_round_even_if_one_of_them_missed_some() -> None:
    assert ratio({0: 1.0, 2: 6.0}, {1: 1.0, 2: 2.0}) == Spread(3.0, 3.0, 3.0)
    assert ratio({0: 1.0}, {1: 1.0}) is None


def test_what_is_too_small_to_be_measured_exactly_counts_as_the_least_that_can_be() -> None:
    assert ratio({0: 0.4}, {0: 100.0}, floor=1.0) == Spread(0.01, 0.01, 0.01)
    assert ratio({0: 3.0}, {0: -0.1}, floor=1.0) == Spread(3.0, 3.0, 3.0)


def test_what_was_not_measured_has_no_ratio() -> None:
    assert ratio({}, {0: 1.0}) is ratio({0: 1.0}, {}) is ratio({0: 1.0}, {0: 0.0}) is None


def test_times_are_per_step_and_bytes_too() -> None:
    made = figures(("milepost", LOOP, [3.0, 5.0, 4.0]), disk=2048 * 1_000)
    found = made.spread(LOOP, "milepost", STEP_TIME)
    assert found is not None
    assert (found.middle, found.least, found.most, found.count) == pytest.approx((4.0, 3.0, 5.0, 3))
    assert made.values(LOOP, "milepost", DISK) == {0: 2.0, 1: 2.0, 2: 2.0}
    assert made.values(LOOP, "milepost", ALL_DISK) == {0: 1.953125, 1: 1.953125, 2: 1.953125}


def test_a_failed_job_has_no_numbers() -> None:
    made = figures(("milepost", LOOP, [3.0]))
    made.failed[LOOP.name, "milepost"] = "WrongAnswer"
    assert made.spread(LOOP, "milepost", STEP_TIME) is None
    assert made.reason(LOOP, "milepost") == "failed: WrongAnswer"


@pytest.mark.parametrize(
    ("value", "said"), [(1 / 8, "1/8.0"), (1.0, "1.00"), (2.345, "2.35"), (0.0, "0.00"), (1 / 404, "1/404")]
)
def test_ratios_are_said_as_people_say_them(value: float, said: str) -> None:
    assert share(value) == said


@pytest.mark.parametrize(("value", "said"), [(1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (0.0, "0.00")])
def test_numbers_have_as_many_digits_as_count(value: float, said: str) -> None:
    assert amount(value) == said


@pytest.mark.parametrize(("mine", "word"), [(12.0, "reached"), (13.0, "**not reached**")])
def test_an_aim_is_reached_or_not(mine: float, word: str) -> None:
    made = figures(("milepost", LOOP, [mine]), ("pydantic-graph", LOOP, [100.0]))
    (line,) = [line for line in aims(report(made, LOOP)) if line.startswith("| loop, nothing kept, of")]
    assert line == f"| loop, nothing kept, of pydantic-graph | 1/8 | {share(mine / 100)} (once) | {word} |"


def test_an_aim_that_was_not_measured_is_listed_all_the_same() -> None:
    lines = list(aims(report(figures(("milepost", LOOP, [1.0])), LOOP)))
    assert len(lines) == len(AIMS) + 2
    assert all(line.endswith("| not measured |") for line in lines[2:])


def test_an_aim_is_held_against_the_largest_job_of_its_kind() -> None:
    assert Cell(Kind.MAP, "milepost").job(MAPS) == MAPS[1]
    assert Cell(Kind.MAP, "milepost", Size.SMALLEST).job(MAPS) == MAPS[0]
    assert Cell(Kind.LOOP, "milepost").job(MAPS) is None


def test_one_size_is_not_compared_with_itself() -> None:
    aim = Aim("constant", Cell(Kind.MAP, "milepost"), Cell(Kind.MAP, "milepost", Size.SMALLEST), 1.25)
    made = figures(("milepost", MAPS[0], [1.0]), ("milepost", MAPS[1], [2.0]))
    assert aim.found(made, MAPS[:1]) is None
    found = aim.found(made, MAPS)
    assert found is not None
    assert found.middle == pytest.approx(2.0)


def test_where_a_peer_is_better_it_is_said_with_all_its_ways_in_one() -> None:
    made = figures(("milepost", LOOP, [30.0]), ("burr", LOOP, [20.0]), ("langgraph", LOOP, [40.0]))
    made.told["burr"] = told("Burr")
    assert better(report(made, LOOP)) == [["Loop of 1,000", "time", "Burr 1.50"]]


def test_the_ways_of_a_peer_with_one_store_are_one_range() -> None:
    process, power = ("milepost-sqlite-process", LOOP, [30.0]), ("milepost-sqlite-power", LOOP, [40.0])
    made = figures(process, power, ("langgraph-sqlite", LOOP, [20.0]), ("langgraph-sqlite-normal", LOOP, [10.0]))
    made.told["langgraph-sqlite"] = told("LangGraph, async", "SQLite")
    made.told["langgraph-sqlite-normal"] = told("LangGraph, async, NORMAL", "SQLite")
    assert better(report(made, LOOP)) == [["Loop of 1,000", "time", "LangGraph · SQLite 1.50 to 3.00"]]


def test_a_peer_that_one_way_of_milepost_beats_is_not_better() -> None:
    process, power = ("milepost-sqlite-process", LOOP, [30.0]), ("milepost-sqlite-power", LOOP, [40.0])
    assert better(report(figures(process, power, ("langgraph-sqlite", LOOP, [35.0])), LOOP)) == []


def test_the_page_names_what_a_peer_could_not_do() -> None:
    made = figures(("milepost", LOOP, [30.0]))
    made.told["burr"] = told("Burr", LOOP="cannot go round")
    made.told["langgraph"] = told("LangGraph", LOOP="cannot go round")
    made.told["limit-fsync"] = told("an fsync", "the machine itself", LOOP="")
    page = markdown(report(made, LOOP), ["steps.svg"])
    assert "- Without Burr · nothing kept, LangGraph · nothing kept: cannot go round." in page
    assert "- Without an fsync" not in page
    assert "![Steps](steps.svg)" in page
    assert "- milepost · nothing kept (one 1.0): as it comes" in page


def test_the_page_tells_all_who_were_too_slow_in_one_line_and_how_long_they_would_take() -> None:
    made = figures(("milepost", LOOP, [30.0]))
    made.told["burr"], made.told["dbos-sqlite"] = told("Burr"), told("DBOS", "SQLite")
    made.left_out = {(LOOP.name, "burr"): "about 95 s", (LOOP.name, "dbos-sqlite"): "no answer within 60 s"}
    page = markdown(report(made, LOOP), [])
    assert (
        "- Too slow to be measured here, where 30 s are allowed: "
        "Burr · nothing kept (about 95 s), DBOS · SQLite (no answer within 60 s)." in page
    )


def test_a_number_of_one_round_among_several_says_so() -> None:
    made = figures(("milepost", LOOP, [30.0]), ("burr", LOOP, [40.0, 44.0]))
    page = markdown(report(made, LOOP), [])
    assert "| **milepost · nothing kept** | **30.0 (once)** |" in page
    assert "| burr · nothing kept | 42.0 (40.0 to 44.0) | 1/1.33 |" in page


def test_a_job_that_nobody_came_to_says_so() -> None:
    page = markdown(report(figures(("milepost", LOOP, [30.0])), LOOP, Job(Kind.CHAIN, 50)), [])
    assert "### Chain of 50\n\n50 nodes, one after the other.\n\nNobody was measured." in page


def test_a_preparation_is_told_apart_from_what_is_measured() -> None:
    resume, made = Job(Kind.RESUME, 1_000), figures()
    made.told["milepost-sqlite-process"] = told("Milepost, process", "SQLite")
    made.add(resume, "milepost-sqlite-process", 0, Measured(seconds=0.02, took=8.0, prepared=7.5))
    page = markdown(report(made, resume), [])
    assert "| **Milepost, process · SQLite** | **20.0 (once)** |  | **7.50** |" in page


def test_a_long_loop_tells_its_time_beside_its_memory() -> None:
    memory, made = Job(Kind.MEMORY, 1_000_000), figures()
    made.told["milepost"] = told("Milepost")
    made.add(memory, "milepost", 0, Measured(seconds=20, took=21, memory=1024 * 1024))
    page = markdown(report(made, memory), [])
    assert "| **Milepost · nothing kept** | **1.00 (once)** |  | **20.0** |" in page


def test_the_heading_says_when_the_machine_was_busy() -> None:
    quiet = report(figures(), LOOP)
    quiet.figures.seconds = 1_000
    assert heading(quiet).startswith("Measured on 2 January 2026 (2 rounds, 17 min) on 2 cores of a processor, 24 GiB")
    assert "Others were at work" not in heading(quiet)
    busy = replace(quiet, machine=replace(quiet.machine, load=7.5))
    assert "Others were at work on it (load 7.5), so the numbers are uneven." in heading(busy)


def test_the_heading_says_when_the_measurement_was_cut_short() -> None:
    made = figures()
    made.was_stopped, made.seconds = True, 1_000
    assert heading(report(made, LOOP)).startswith(
        "Measured on 2 January 2026 (2 rounds, 17 min, the last round cut short) on 2 cores"
    )


def test_the_section_of_the_readme_is_written_anew_and_nothing_else() -> None:
    made = report(figures(("milepost", LOOP, [30.0])), LOOP)
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = quoted(text, made)
    assert new.startswith(f"before\n{BEGIN}\nMeasured on 2 January 2026")
    assert new.endswith(f"{END}\nafter\n")
    assert "old" not in new
    assert quoted(new, made) == new


def test_the_section_shows_what_is_asked_first_and_names_what_else_is_not_reached() -> None:
    none, other = ("milepost", Job(Kind.IMPORT, 1), [9_000.0]), ("pydantic-graph", Job(Kind.IMPORT, 1), [1_000.0])
    made = section(report(figures(none, other), Job(Kind.IMPORT, 1)))
    shown = [line for line in made.splitlines() if line.startswith("| ")]
    assert len(shown) == 1 + len([aim for aim in AIMS if aim.is_quoted])
    assert (
        f"Of {len([aim for aim in AIMS if aim.at_most])} aims 0 are reached; not reached beside those above: " in made
    )
    assert (
        "import of the package, of pydantic-graph's; not measured beside those above: item of the largest map" in made
    )


def test_a_text_without_the_section_is_refused() -> None:
    with pytest.raises(NoSection, match="The text has 0 sections"):
        quoted("nothing", report(figures(), LOOP))


def test_the_readme_has_its_section() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert readme.count(BEGIN) == readme.count(END) == 1


def test_pictures_are_drawn_as_png_and_svg(tmp_path: Path) -> None:
    made = figures(("milepost", LOOP, [3.0, 4.0]), ("milepost", MAPS[0], [1.0]), ("milepost", MAPS[1], [2.0]))
    chain = ("limit-sqlite-power", Job(Kind.CHAIN, 50), [1.0])
    assert draw(report(made, LOOP, *MAPS), tmp_path) == ["steps.svg", "sizes.svg"]
    assert draw(report(figures(chain), chain[1]), tmp_path) == ["runs.svg"]
    assert (tmp_path / "steps.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "sizes.svg").read_text(encoding="utf-8")


def test_a_job_that_nobody_did_is_not_drawn(tmp_path: Path) -> None:
    made = figures(("milepost", LOOP, [3.0]))
    assert draw(report(made, LOOP, Job(Kind.CHAIN, 50), *MAPS), tmp_path) == ["steps.svg"]


def test_nothing_measured_draws_nothing(tmp_path: Path) -> None:
    assert draw(report(figures()), tmp_path) == []


def test_the_same_numbers_give_the_same_picture(tmp_path: Path) -> None:
    made = report(figures(("milepost", LOOP, [3.0, 4.0]), ("limit-switch", LOOP, [1.0])), LOOP)
    draw(made, tmp_path)
    first = (tmp_path / "steps.svg").read_bytes()
    draw(made, tmp_path)
    assert (tmp_path / "steps.svg").read_bytes() == first


def test_names_beside_lines_do_not_lie_on_each_other_and_keep_their_order() -> None:
    heights = dict(apart([("one", 10.0), ("two", 10.0), ("three", 1_000.0)], gap=0.1))
    assert log10(heights["two"] / heights["one"]) == pytest.approx(0.1, abs=1e-4)
    assert heights["three"] == pytest.approx(1_000)


def test_each_kind_has_a_unit() -> None:
    assert {kind: main_quantity(kind).unit for kind in (Kind.MAP, Kind.RESUME, Kind.MEMORY, Kind.GROW)} == {
        Kind.MAP: "µs of wall time per item", Kind.RESUME: "ms of wall time", Kind.MEMORY: "MiB",
        Kind.GROW: "µs of wall time per step",
    }  # fmt: skip
