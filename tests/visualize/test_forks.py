"""Which run was forked from which, as Mermaid's gitGraph and as text; judged by the real Mermaid."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milepost.visualize.escape import clean
from milepost.visualize.fork_page import page
from milepost.visualize.forks import MOST_RUNS, UNSEEN, git_graph, tree_view
from milepost.visualize.palette import Theme
from milepost.visualize.terminal import plain
from tests.visualize.conftest import Mermaid
from tests.visualize.families import FAMILY, relative, station
from tests.visualize.subjects import NASTY, hostile


def bare(text: str) -> str:
    return clean(text).replace(UNSEEN, "")


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_a_run_is_a_branch_that_leaves_its_origin_at_the_checkpoint(mermaid_js: Mermaid, theme: Theme) -> None:
    answer = mermaid_js.answer(git_graph(FAMILY, theme))
    assert answer.get("error") is None
    assert [bare(name) for name in answer["branches"]] == ["t-1", "t-2", "t-3", "t-4"]
    seen = {
        (bare(one["branch"]), bare(one["id"])): [bare(above) for above in one["parents"]] for one in answer["commits"]
    }
    assert seen == {
        ("t-1", "1 started"): [],
        ("t-1", "2 plan"): ["1 started"],
        ("t-1", "4 pay"): ["2 plan"],
        ("t-1", "5 book"): ["4 pay"],
        ("t-2", "3 forked"): ["2 plan"],
        ("t-2", "4 failed pay"): ["3 forked"],
        ("t-3", "4 forked"): ["3 forked"],
        ("t-3", "5 pay"): ["4 forked"],
        ("t-4", "5 forked"): ["4 pay"],
    }


def test_the_newest_checkpoint_says_how_a_run_stands_by_tag_and_shape(mermaid_js: Mermaid) -> None:
    commits = mermaid_js.answer(git_graph(FAMILY))["commits"]
    tags = {bare(one["branch"]): (one["tags"], one["type"]) for one in commits if one["tags"]}
    assert tags == {
        "t-1": (["✓ completed"], 0),
        "t-2": (["✗ failed"], 1),
        "t-3": (["▸ running"], 2),
        "t-4": (["‖ waiting"], 2),
    }


def test_a_run_whose_process_died_is_told_from_one_that_goes_on(mermaid_js: Mermaid) -> None:
    family = (replace(FAMILY[2], row=replace(FAMILY[2].row, forked_from=None, forked_at=0), interrupted=True),)
    (tag,) = (one["tags"] for one in mermaid_js.answer(git_graph(family))["commits"] if one["tags"])
    assert tag == ["… interrupted"]
    assert "… t-3  interrupted, 5 checkpoints" in plain(tree_view(family, "t-1"))
    drawing = page(family, "t-3")
    assert "running" not in drawing.split("<body", 1)[1]
    assert "<td>… interrupted</td>" in drawing


@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_run_id_is_shown_as_it_was_written(mermaid_js: Mermaid, name: str) -> None:
    family = (
        relative("first", 2, station(1, did="started"), station(2, name), workflow=name),
        relative(name, 3, station(3, did="forked"), origin=("first", 2), level=1),
    )
    answer = mermaid_js.answer(git_graph(family))
    assert answer.get("error") is None
    shown = " ".join(bare(answer["branches"][1]).split())
    wanted = " ".join(bare(name).split())
    assert shown == wanted or (len(wanted) > 40 and shown.endswith("…") and wanted.startswith(shown[:-1].rstrip()))


@given(first=hostile, second=hostile, node=hostile, theme=st.sampled_from(["light", "dark", "auto"]))
@settings(max_examples=25, deadline=None)
def test_mermaid_reads_any_family(mermaid_js: Mermaid, first: str, second: str, node: str, theme: Theme) -> None:
    other = second + "'" * (first == second)
    family = (
        relative(first, 2, station(1, did="started"), station(2, node), workflow=node),
        relative(other, 3, station(3, did="forked"), origin=(first, 2), level=1),
        relative(other + "2", 3, station(3, did="forked"), origin=(first, 2), level=1, status="cancelled"),
    )
    answer = mermaid_js.answer(git_graph(family, theme))
    assert answer.get("error") is None
    assert (len(answer["branches"]), len(answer["commits"])) == (3, 4)


def test_a_large_family_is_cut_and_says_so(mermaid_js: Mermaid) -> None:
    forks = [relative(f"f-{number}", 2, station(2, did="forked"), origin=("t-1", 1), level=1) for number in range(100)]
    text = git_graph((relative("t-1", 1, station(1, did="started")), *forks))
    assert len(mermaid_js.answer(text)["branches"]) == MOST_RUNS
    assert f'title: "trip · 101 runs · the first {MOST_RUNS}"' in text


def test_the_tree_is_told_in_a_terminal() -> None:
    assert plain(tree_view(FAMILY, "t-3"), width=200) == (
        "trip  4 runs\n"
        "✓ t-1  completed, 5 checkpoints\n"
        "├── at 2 plan  ✗ t-2  failed, 2 checkpoints of its own: ValueError: no money\n"
        "│   └── at 3 forked  ▸ t-3  running, 2 checkpoints of its own  ← this run\n"
        "└── at 4 pay  ‖ t-4  waiting, 1 checkpoint of its own\n"
    )


def test_a_run_whose_origin_is_gone_is_the_first_of_its_tree() -> None:
    family = (relative("t-9", 5, station(3, did="forked"), station(5, "pay"), origin=("gone", 2)),)
    assert "✓ t-9  completed, 3 checkpoints of its own" in plain(tree_view(family, "t-9"))
