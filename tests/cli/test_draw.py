"""`milepost render` and `milepost check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from milepost.cli.pictures import Look
from tests.cli.conftest import ORDER, Call


def test_a_workflow_is_drawn_as_mermaid_without_being_asked(call: Call) -> None:
    answer = call("render", "flows:workflow")
    assert answer.code == 0
    assert "flowchart" in answer.out
    assert "price" in answer.out


def test_a_workflow_is_described_as_json(call: Call) -> None:
    document = call("render", "flows:workflow", "--json").document
    assert document["definition"]["name"] == "orders"
    assert len(document["fingerprint"]) == 32


def test_a_committed_diagram_is_checked(call: Call, folder: Path) -> None:
    missing = call("render", "flows:workflow", "--check", "flow.mmd")
    assert (missing.code, missing.err) == (
        7,
        "There is no 'flow.mmd' yet. Draw it: milepost render flows:workflow -o flow.mmd\n",
    )
    call("render", "flows:workflow", "-o", "flow.mmd")
    fresh = call("render", "flows:workflow", "--check", "flow.mmd")
    assert (fresh.code, fresh.err) == (0, "flow.mmd is up to date.\n")
    (folder / "flow.mmd").write_text((folder / "flow.mmd").read_text().replace("ship", "drop"))
    stale = call("render", "flows:workflow", "--check", "flow.mmd")
    assert (stale.code, stale.out) == (7, "")
    assert stale.err == "'flow.mmd' is stale. Draw it again: milepost render flows:workflow -o flow.mmd\n"


def test_a_picture_can_be_told_how_to_look(call: Call) -> None:
    options = ("--direction", "lr", "--types", "--legend", "--theme", "dark")
    text = call("render", "flows:workflow", *options).out
    assert "flowchart LR" in text
    assert '-->|"Order"| n_ship' in text
    assert 'l_function("function")' in text
    assert "darkMode: true" in text
    assert "l_function" not in call("render", "flows:workflow").out


def test_only_some_nodes_are_drawn_and_others_as_one_box(call: Call) -> None:
    text = call("render", "flows:workflow", "--only", "start", "--only", "ship").out
    assert '  n_start -->|"via price"| n_ship' in text
    text = call("render", "flows:workflow", "--collapse", "price..ship", "--format", "text").out
    assert "price … ship   2 nodes" in text
    answer = call("render", "flows:workflow", "--only", "prize")
    assert (answer.code, answer.err) == (2, "There is no node 'prize' in this picture. Did you mean 'price'?\n")


def test_how_to_draw_a_stale_diagram_again_is_said_with_all_that_was_asked_for(call: Call) -> None:
    options = ("--direction", "LR", "--types", "--no-legend", "--depth", "1", "--only", "price", "--collapse", "a b")
    answer = call("render", "flows:workflow", "--check", "flow.mmd", *options[:-2])
    assert answer.err == (
        "There is no 'flow.mmd' yet. Draw it: milepost render flows:workflow --direction LR --types --no-legend "
        "--depth 1 --only price -o flow.mmd\n"
    )
    assert Look(collapse=("a b", "c")).options() == "--collapse 'a b' --collapse c"
    assert Look(theme="dark", legend=True).options() == "--theme dark --legend"


NEWER = """
from flows import Order, price, ship
from milepost import Retry, StepContext, WorkflowBuilder

wf = WorkflowBuilder(name="orders", version=2, input_type=Order, output_type=str)

@wf.function(retry=Retry(attempts=3))
async def price(ctx: StepContext[None, None, Order]) -> Order:
    return ctx.inputs

@wf.function
async def pack(ctx: StepContext[None, None, Order]) -> str:
    return ctx.inputs.name

wf.edge(wf.start_node, price)
wf.edge(price, pack)
wf.edge(pack, wf.end_node)
workflow = wf.build()
"""


def test_what_has_changed_in_a_workflow_is_drawn(call: Call, folder: Path) -> None:
    (folder / "newer.py").write_text(NEWER)
    words = ("render", "newer.py:workflow", "--against", "flows:workflow")
    out = call(*words, "--format", "text").out
    assert "version 1 → 2" in out
    for line in ("Δ price", "+ retry ≤ 3", "+ pack", "− ship"):
        assert line in out
    assert "accTitle: What has changed in workflow orders" in call(*words).out
    document = call(*words, "--json").document
    assert {node["id"]: node["status"] for node in document["nodes"]} == {
        "__start__": "same",
        "price": "changed",
        "pack": "added",
        "ship": "removed",
        "__end__": "same",
    }
    assert document["same"] is False
    call(*words, "-o", "changes.mmd")
    assert call(*words, "--check", "changes.mmd").err == "changes.mmd is up to date.\n"
    stale = call("render", "flows:workflow", "--against", "flows:workflow", "--check", "changes.mmd")
    assert stale.err.endswith("milepost render flows:workflow --against flows:workflow -o changes.mmd\n")


def test_a_workflow_is_held_against_what_a_stored_run_follows(call: Call) -> None:
    call("run", "flows:workflow", "--input", ORDER, "--run-id", "o-1")
    answer = call("render", "flows:workflow", "--against", "o-1", "--format", "text")
    assert "= nothing differs" in answer.out
    missing = call("render", "flows:workflow", "--against", "nobody")
    assert (missing.code, missing.err) == (
        4,
        "There is no run 'nobody' in this store. 'milepost runs' lists those there are.\n",
    )
    page = call("render", "flows:workflow", "--against", "o-1", "--format", "html")
    assert page.err == "A comparison cannot be drawn as 'html'. Use one of text, mermaid, dot, svg, png.\n"


def test_only_what_a_workflow_can_be_drawn_as_is_offered(call: Call) -> None:
    shown = call("render", "--help").out
    assert "[text|mermaid|dot|svg|png|html|json]" in shown
    answer = call("render", "flows:workflow", "--format", "timeline")
    assert (answer.code, "'timeline' is not one of" in answer.err) == (2, True)
    assert "gantt" in call("trace", "--help").out


@pytest.mark.parametrize(
    ("words", "endings"),
    [
        (("render", "flows:workflow"), ".txt, .mmd, .mermaid, .dot, .gv, .svg, .png, .html, .json"),
        (
            ("render", "flows:workflow", "--against", "flows:workflow"),
            ".txt, .mmd, .mermaid, .dot, .gv, .svg, .png, .json",
        ),
        (("diff", "a", "b"), ".txt, .mmd, .mermaid, .dot, .gv, .svg, .png, .json"),
        (("tree", "a"), ".txt, .mmd, .mermaid, .svg, .html, .json"),
        (("trace", "a"), ".txt, .mmd, .mermaid, .dot, .gv, .svg, .png, .html, .json"),
    ],
)
def test_an_ending_that_names_no_format_is_told_those_that_the_command_has(
    call: Call, words: tuple[str, ...], endings: str
) -> None:
    answer = call(*words, "-o", "picture.jpg")
    assert (answer.code, answer.err) == (
        2,
        f"The ending '.jpg' names no format. Use one of {endings}, or say it with --format.\n",
    )


def test_a_sound_workflow_passes_its_check(call: Call) -> None:
    answer = call("check", "flows:workflow")
    assert answer.code == 0
    assert answer.out.startswith("'orders' is sound: 2 nodes, and everything it handles can be stored.")


def test_a_check_counts_the_nodes_that_a_picture_counts(call: Call) -> None:
    assert call("check", "flows:workflow", "--json").document["nodes"] == 2
    assert "2 nodes" in call("render", "flows:workflow", "--format", "text").out
    assert "'counted' is sound: 1 node, and" in call("check", "flows:counted").out


def test_what_is_wrong_inside_a_sub_workflow_does_not_pass(call: Call, folder: Path) -> None:
    (folder / "outer.py").write_text(
        "from milepost import StepContext, WorkflowBuilder\n"
        "class Socket: ...\n"
        "inner = WorkflowBuilder(name='inner', output_type=int)\n"
        "@inner.function\n"
        "async def dial(ctx: StepContext[None, None, None]) -> Socket: return Socket()\n"
        "@inner.function\n"
        "async def talk(ctx: StepContext[None, None, Socket]) -> int: return 1\n"
        "inner.edge(inner.start_node, dial)\ninner.edge(dial, talk)\ninner.edge(talk, inner.end_node)\n"
        "def fails(): raise LookupError('no such workflow')\n"
        "def around(child):\n"
        "    wf = WorkflowBuilder(name='outer', output_type=int)\n"
        "    node = wf.subworkflow(child, node_id='node')\n"
        "    wf.edge(wf.start_node, node)\n"
        "    wf.edge(node, wf.end_node)\n"
        "    return wf.build()\n"
        "unstorable = around(inner.build())\n"
        "missing = around(fails)\n"
    )
    answer = call("check", "outer.py:unstorable")
    assert (answer.code, answer.out.startswith("fault: In workflow 'inner': ")) == (7, True)
    answer = call("check", "outer.py:missing")
    assert (answer.code, "fails() failed with LookupError: no such workflow" in answer.out) == (7, True)


def test_an_unsound_workflow_does_not_pass_and_every_fault_is_listed(call: Call) -> None:
    answer = call("check", "flows:unsound")
    assert answer.code == 7
    assert all(line.startswith("fault: ") for line in answer.out.splitlines())
    document = call("check", "flows:unsound", "--json").document
    assert (document["workflow"], document["ok"]) == ("unsound", False)
    assert len(document["faults"]) == len(answer.out.splitlines())


def test_a_workflow_whose_values_cannot_be_stored_does_not_pass(call: Call, folder: Path) -> None:
    (folder / "opaque.py").write_text(
        "from milepost import StepContext, WorkflowBuilder\n"
        "class Socket: ...\n"
        "wf = WorkflowBuilder(name='opaque', output_type=int)\n"
        "@wf.function\n"
        "async def dial(ctx: StepContext[None, None, None]) -> Socket: return Socket()\n"
        "@wf.function\n"
        "async def talk(ctx: StepContext[None, None, Socket]) -> int: return 1\n"
        "wf.edge(wf.start_node, dial)\nwf.edge(dial, talk)\nwf.edge(talk, wf.end_node)\n"
    )
    answer = call("check", "opaque.py:wf")
    assert answer.code == 7
    assert "Socket" in answer.out
    assert not (folder / ".milepost").exists()


def test_an_annotation_that_cannot_be_resolved_is_named_once(call: Call, folder: Path) -> None:
    (folder / "vague.py").write_text(
        "from __future__ import annotations\n"
        "from milepost import StepContext, WorkflowBuilder\n"
        "wf = WorkflowBuilder(name='vague', output_type=int)\n"
        "@wf.function\n"
        "async def guess(ctx: StepContext[None, None, Nothing]) -> int: return 1\n"
        "wf.edge(wf.start_node, guess)\nwf.edge(guess, wf.end_node)\n"
    )
    answer = call("check", "vague.py:wf")
    assert answer.code == 7
    assert answer.out.count("The annotation of 'ctx' of node 'guess' cannot be resolved: name 'Nothing'") == 1


@pytest.mark.parametrize("command", ["render", "check"])
def test_a_target_that_is_not_there_is_wrong_usage(call: Call, command: str) -> None:
    assert call(command, "none:workflow").code == 2


def test_json_beside_another_format_is_refused_and_writes_no_file(call: Call, folder: Path) -> None:
    for words in (("--format", "mermaid"), ("-o", "flow.mmd")):
        answer = call("render", "flows:workflow", "--json", *words)
        assert answer.code == 2
        assert answer.err.startswith("--json asks for JSON, and the rest of the command for 'mermaid'.")
    assert not (folder / "flow.mmd").exists()
    assert call("render", "flows:workflow", "--json", "-o", "flow.json").code == 0


def test_a_diagram_is_checked_in_its_own_format_with_json_too(call: Call) -> None:
    assert call("render", "flows:workflow", "-o", "flow.mmd").code == 0
    answer = call("render", "flows:workflow", "--check", "flow.mmd", "--json")
    assert (answer.code, json.loads(answer.out)["is_stale"]) == (0, False)
