"""A picture as SVG or PNG, laid out by Graphviz and then made fit for a page: accessible, without links, in one or two
themes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from milepost.visualize.diagram import Diagram
from milepost.visualize.dot import FONT, dot
from milepost.visualize.escape import clean, one_line, slugs
from milepost.visualize.layout import Layout, choose
from milepost.visualize.palette import DARK, LIGHT, Palette, Status, Style, Theme

_SVG: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "{http://www.w3.org/1999/xlink}"
_PATTERN: Final = f"{{{_SVG}}}pattern"
_FONTS: Final = 'Arial, "Liberation Sans", Helvetica, sans-serif'
"""Metric-compatible with the font that Graphviz measured with."""

_PAINTS: Final = ("fill", "stroke")

NO_LINKS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished SVG: its `<svg>` element as text, without a style sheet, and the style sheet that it needs."""

    element: str
    css: str


def svg(
    diagram: Diagram,
    theme: Theme = "light",
    *,
    direction: str = "TB",
    legend: bool | None = None,
    layout: Layout | None = None,
) -> str:
    """Return the diagram as a self-contained SVG document.

    theme: "auto" follows the reader's own setting. layout: how to run Graphviz, None for the best that is there.
    Raises DrawingError: there is no Graphviz, or it refused.
    """
    drawing = draw(diagram, theme, direction=direction, legend=legend, layout=layout)
    style = f"<style>{drawing.css}</style>" if drawing.css else ""
    head, rest = drawing.element.split(">", 1)
    return f"{head}>{style}{rest}\n"


def png(
    diagram: Diagram,
    theme: Theme = "light",
    *,
    direction: str = "TB",
    legend: bool | None = None,
    layout: Layout | None = None,
) -> bytes:
    """Return the diagram as a PNG of twice the usual density, on a page of its theme's colour.

    Raises DrawingError: there is no Graphviz that can, or it refused.
    """
    layout = layout or choose("png")
    source = dot(diagram, theme, rich=layout.rich, direction=direction, legend=legend)
    if theme != "dark":
        source = source.replace('bgcolor="transparent"', f'bgcolor="{LIGHT.page}"', 1)
    return layout.draw(source, "png")


def draw(
    diagram: Diagram,
    theme: Theme,
    *,
    direction: str = "TB",
    legend: bool | None = None,
    heading: bool = True,
    layout: Layout | None = None,
    prefix: str = "",
    links: Mapping[str, str] = NO_LINKS,
) -> Drawing:
    """Lay the diagram out and return element and style sheet apart, for a page with a strict content policy.

    prefix: of all ids and classes, for a page with several pictures. links: by the id of a node, the id of the part of
    the page that it leads to.
    """
    layout = layout or choose("svg")
    marks = _Marks() if theme == "auto" else None
    colours = marks.palette if marks else DARK if theme == "dark" else LIGHT
    source = dot(diagram, rich=layout.rich, direction=direction, legend=legend, heading=heading, colours=colours)
    root = ElementTree.fromstring(layout.draw(source, "svg"))
    _unlink(root)
    _name(root, diagram, links)
    _hatch(root, colours, f"{prefix}hatch")
    css = marks.apply(root, prefix) if marks else ""
    for element in root.iter() if prefix else ():
        if "id" in element.attrib and element.tag != _PATTERN:
            element.set("id", prefix + element.attrib["id"])
    ElementTree.register_namespace("", _SVG)
    return Drawing(ElementTree.tostring(root, encoding="unicode"), css)


def _unlink(root: ElementTree.Element) -> None:
    """Take the links out, which Graphviz puts around everything with a tooltip, and name the fonts of the page."""
    for parent in list(root.iter()):
        if parent.get("font-family") == FONT:
            parent.set("font-family", _FONTS)
        children = list(parent)
        if any(child.tag == f"{{{_SVG}}}a" for child in children):
            parent[:] = [kept for child in children for kept in _without_link(child)]
        for name in [name for name in list(parent.attrib) if name.startswith(_XLINK)]:
            del parent.attrib[name]


def _without_link(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    if element.tag != f"{{{_SVG}}}a":
        yield element
        return
    for child in element:
        yield from _without_link(child)


def _name(root: ElementTree.Element, diagram: Diagram, links: Mapping[str, str]) -> None:
    """Say what the picture and each node is, to tooltips, style sheets and readers who do not see it."""
    root.set("role", "group" if links else "img")  # what is an image has nothing in it that could be chosen
    label = " · ".join((diagram.name, *((diagram.notice,) if diagram.notice else diagram.facts)))
    root.set("aria-label", one_line(f"{label}: {diagram.description}", 700))
    nodes = {
        slug: node for node, slug in zip(diagram.nodes, slugs(node.id for node in diagram.nodes).values(), strict=True)
    }
    for element in root.iter(f"{{{_SVG}}}g"):
        title = element.find(f"{{{_SVG}}}title")
        if title is None:
            continue
        node = nodes.get(element.get("id", ""))
        if node is None:
            element.remove(title)
            continue
        title.text = clean(one_line(node.tooltip or node.title, 300))
        element.set("data-node", one_line(node.id))
        if node.status:
            element.set("data-status", str(node.status))
        if node.id in links:
            written = " ".join("".join(text.itertext()).strip() for text in element.iter(f"{{{_SVG}}}text"))
            _link(element, links[node.id], f"{one_line(written, 200)} · what is inside")


def _hatch(root: ElementTree.Element, colours: Palette, name: str) -> None:
    """Put stripes on what waits. name: of their pattern, in the page."""
    style = colours.statuses[Status.WAITING]
    waiting = [element for element in root.iter() if element.get("fill") == style.fill]
    for element in waiting:
        element.set("fill", f"url(#{name})")
    if waiting:
        turned = {"id": name, "width": "9", "height": "9", "patternTransform": "rotate(45)"}
        pattern = ElementTree.Element(_PATTERN, {**turned, "patternUnits": "userSpaceOnUse"})
        ElementTree.SubElement(pattern, f"{{{_SVG}}}rect", {"width": "9", "height": "9", "fill": style.fill})
        ElementTree.SubElement(pattern, f"{{{_SVG}}}rect", {"width": "4", "height": "9", "fill": style.hatch})
        root.insert(0, pattern)


def _link(element: ElementTree.Element, target: str, label: str) -> None:
    """Make a node lead to a part of the page."""
    link = ElementTree.Element(f"{{{_SVG}}}a", {"href": f"#{target}", "aria-label": label})
    link.extend(list(element))
    element[:] = [link]


class _Marks:
    """Colours that stand for a pair, one for a light page and one for a dark page, until the layout is done."""

    def __init__(self) -> None:
        self.pairs: dict[str, tuple[str, str]] = {}
        self.palette = dataclasses.replace(
            LIGHT,
            title=self._both(LIGHT.title, DARK.title),
            text=self._both(LIGHT.text, DARK.text),
            muted=self._both(LIGHT.muted, DARK.muted),
            line=self._both(LIGHT.line, DARK.line),
            taken=self._both(LIGHT.taken, DARK.taken),
            untaken=self._both(LIGHT.untaken, DARK.untaken),
            untaken_text=self._both(LIGHT.untaken_text, DARK.untaken_text),
            failed_text=self._both(LIGHT.failed_text, DARK.failed_text),
            kinds={kind: self._style(style, DARK.kinds[kind]) for kind, style in LIGHT.kinds.items()},
            statuses={status: self._style(style, DARK.statuses[status]) for status, style in LIGHT.statuses.items()},
        )

    def _both(self, light: str, dark: str) -> str:
        mark = f"#fe{len(self.pairs):04x}"
        self.pairs[mark] = (light, dark)
        return mark

    def _style(self, light: Style, dark: Style) -> Style:
        return dataclasses.replace(
            light,
            fill=self._both(light.fill, dark.fill),
            stroke=self._both(light.stroke, dark.stroke),
            text=self._both(light.text, dark.text),
            muted=self._both(light.muted, dark.muted),
            hatch=self._both(light.hatch, dark.hatch) if light.hatch else "",
        )

    def apply(self, root: ElementTree.Element, prefix: str) -> str:
        """Put real colours in, for a viewer without style sheets, and return the style sheet that switches them."""
        classes: dict[tuple[str, str, str], str] = {}
        for element in root.iter():
            names = element.get("class", "").split()
            for paint in _PAINTS:
                pair = self.pairs.get(element.get(paint, ""))
                if pair is not None:
                    element.set(paint, pair[0])
                    names.append(classes.setdefault((paint, *pair), f"{prefix}c{len(classes)}"))
            if names:
                element.set("class", " ".join(names))
        light = "".join(f".{name}{{{paint}:{colour}}}" for (paint, colour, _), name in classes.items())
        dark = "".join(f".{name}{{{paint}:{colour}}}" for (paint, _, colour), name in classes.items())
        return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"
