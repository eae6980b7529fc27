"""What is said about figures: medians, ratios pair by pair, aims, where a peer is better, and in the README."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.aims import AIMS, Aim, Cell, Size
from benchmarks.figures import ALL_DISK, DISK, STEP_TIME, Spread, main_quantity, ratio
from benchmarks.jobs import Job, Kind
from benchmarks.plots import draw
from benchmarks.quoting import BEGIN, END, NoSection, quoted
from benchmarks.report import aims, amount, better, heading, markdown, share
from tests.benchmarks.figures_made import LOOP, figures, report, told

MAPS = Job(Kind.MAP, 10), Job(Kind.MAP, 1_000)
LOOP_AIM = Aim("a loop", Cell(Kind.LOOP, "milepost"), Cell(Kind.LOOP, "pydantic-graph"), 1 / 8)


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    assert ratio([10.0, 20.0, 90.0], [100.0, 100.0, 100.0]) == Spread(0.2, 0.1, 0.9)


def test_a_slow_moment_that_meets_both_does_not_change_their_ratio() -> None:
    assert ratio([10.0, 1_000.0], [100.0, 10_000.0]) == Spread(0.1, 0.1, 0.1)


def test_what_was_not_measured_has_no_ratio() -> None:
    assert ratio([], [1.0]) is ratio([1.0], []) is ratio([1.0], [0.0]) is None


def test_times_are_per_step_and_bytes_too() -> None:
    made = figures(("milepost", LOOP, [3.0, 5.0, 4.0]), disk=2048 * 1_000)
    assert made.spread(LOOP, "milepost", STEP_TIME) == pytest.approx(Spread(4.0, 3.0, 5.0))
    assert made.values(LOOP, "milepost", DISK) == [2.0] * 3
    assert made.values(LOOP, "milepost", ALL_DISK) == [1.953125] * 3


def test_a_failed_job_has_no_numbers() -> None:
    made = figures(("milepost", LOOP, [3.0]))
    made.failed[LOOP.name, "milepost"] = "WrongAnswer"
    assert made.spread(LOOP, "milepost", STEP_TIME) is None
    assert made.reason(LOOP, "milepost") == "failed: WrongAnswer"


@pytest.mark.parametrize(("value", "said"), [(1 / 8, "1/8.0"), (1.0, "1.00"), (2.345, "2.35"), (0.0, "0.00")])
def test_ratios_are_said_as_people_say_them(value: float, said: str) -> None:
    assert share(value) == said


@pytest.mark.parametrize(("value", "said"), [(1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (0.0, "0.00")])
def test_numbers_have_as_many_digits_as_count(value: float, said: str) -> None:
    assert amount(value) == said


@pytest.mark.parametrize(("mine", "word"), [(12.0, "reached"), (13.0, "**not reached**")])
def test_an_aim_is_reached_or_not(mine: float, word: str) -> None:
    made = figures(("milepost", LOOP, [mine]), ("pydantic-graph", LOOP, [100.0]))
    (line,) = [line for line in aims(report(made, LOOP)) if line.startswith("| loop without a store")]
    assert line.endswith(f"| {word} |")


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


def test_where_a_peer_is_better_it_is_said() -> None:
    made = figures(("milepost", LOOP, [30.0]), ("burr", LOOP, [20.0]), ("langgraph", LOOP, [40.0]))
    assert list(better(report(made, LOOP))) == [
        "- loop of 1,000, time: burr · nothing kept. Milepost takes 1.50 times (milepost) of it."
    ]


def test_the_page_names_what_a_peer_could_not_do() -> None:
    made = figures(("milepost", LOOP, [30.0]))
    made.told["burr"] = told("Burr", LOOP="cannot go round")
    made.told["limit-fsync"] = told("an fsync", "the machine itself", LOOP="")
    page = markdown(report(made, LOOP), ["steps.svg"])
    assert "- Without Burr · nothing kept: cannot go round." in page
    assert "- Without an fsync" not in page
    assert "![Steps](steps.svg)" in page
    assert "- milepost · nothing kept (one 1.0): as it comes" in page


def test_the_heading_says_when_the_machine_was_busy() -> None:
    quiet = report(figures(), LOOP)
    assert heading(quiet).startswith("Measured on 02 January 2026 in 2 rounds, on 2 cores of a processor, 24 GiB")
    assert "Others were at work" not in heading(quiet)
    busy = replace(quiet, machine=replace(quiet.machine, load=7.5))
    assert "Others were at work on it (load 7.5), so the numbers are uneven." in heading(busy)


def test_the_heading_says_when_the_measurement_was_cut_short() -> None:
    made = figures()
    made.was_stopped = True
    assert heading(report(made, LOOP)).startswith("Measured on 02 January 2026 in 2 rounds, the last cut short, on 2")


def test_the_section_of_the_readme_is_written_anew_and_nothing_else() -> None:
    made = report(figures(("milepost", LOOP, [30.0])), LOOP)
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = quoted(text, made)
    assert new.startswith(f"before\n{BEGIN}\nMeasured on 02 January 2026")
    assert new.endswith(f"{END}\nafter\n")
    assert "old" not in new
    assert quoted(new, made) == new


def test_a_text_without_the_section_is_refused() -> None:
    with pytest.raises(NoSection, match="The text has 0 sections"):
        quoted("nothing", report(figures(), LOOP))


def test_the_readme_has_its_section() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert readme.count(BEGIN) == readme.count(END) == 1


def test_pictures_are_drawn_as_png_and_svg(tmp_path: Path) -> None:
    made = figures(("milepost", LOOP, [3.0, 4.0]), ("milepost", MAPS[0], [1.0]), ("milepost", MAPS[1], [2.0]))
    assert draw(report(made, LOOP, *MAPS), tmp_path) == ["steps.svg", "sizes.svg"]
    assert (tmp_path / "steps.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "sizes.svg").read_text(encoding="utf-8")


def test_a_job_that_nobody_did_is_not_drawn(tmp_path: Path) -> None:
    made = figures(("milepost", LOOP, [3.0]))
    assert draw(report(made, LOOP, Job(Kind.CHAIN, 50), *MAPS), tmp_path) == ["steps.svg"]


def test_nothing_measured_draws_nothing(tmp_path: Path) -> None:
    assert draw(report(figures()), tmp_path) == []


def test_each_kind_has_a_unit() -> None:
    assert {kind: main_quantity(kind).unit for kind in (Kind.MAP, Kind.RESUME, Kind.MEMORY, Kind.GROW)} == {
        Kind.MAP: "µs per item", Kind.RESUME: "ms", Kind.MEMORY: "MiB", Kind.GROW: "µs per step",
    }  # fmt: skip
