"""A picture as Mermaid text, for Markdown, GitHub and every page that loads Mermaid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode, Entry
from milepost.visualize.escape import mermaid_prose, mermaid_text, one_line, shorten, slugs
from milepost.visualize.palette import (
    COMPARED_ON_BOTH,
    FAILED_ON_BOTH,
    GLYPHS,
    LIGHT,
    TAKEN_ON_BOTH,
    Palette,
    Status,
    Style,
    Theme,
    chip,
    palette,
)

MAX_TEXT: Final = 50_000
"""Characters from which on Mermaid draws an error instead of the picture."""

_SHAPES: Final = {
    "start": ('(["', '"])'),
    "end": ('(["', '"])'),
    "agent": ('{{"', '"}}'),
    "decision": ('{"', '"}'),
    "map": ('[["', '"]]'),
    "join": ('(("', '"))'),
    "ask": ('[\\"', '"/]'),
    "wait": ('[/"', '"/]'),
    "sleep": ('[/"', '"\\]'),
    "race": ('>"', '"]'),
    "fold": ('["', '"]'),
    "workflow": ('[["', '"]]'),
}
ROW: Final = 5
"""Samples that stand side by side in a legend."""

_ROUND: Final = ('("', '")')
_CROSSING_DIRECTION: Final = {"TB": "LR", "LR": "TB"}
FONT: Final = '\'Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Liberation Sans", Verdana\''
"""No name with a hyphen (`sans-serif`): Mermaid would drop the whole value, and measure in one font and draw in
another."""


def mermaid(diagram: Diagram, theme: Theme = "light", *, direction: str = "TB", legend: bool | None = None) -> str:
    """Return the diagram as a Mermaid flowchart.

    theme: "auto" leaves page colours to the page it is shown on. legend: None for one under the picture of a run only.
    Labels are cut shorter and shorter until Mermaid takes the text, and are left out when even that does not help.
    """
    wanted = diagram.entries(legend)
    for limit in (80, 40, 20, 10):
        text = "\n".join(_Writer(diagram, theme, direction, limit).document(wanted)) + "\n"
        if len(text) < MAX_TEXT:
            return text
    return "\n".join(_Writer(diagram, theme, direction, 0).document(wanted)) + "\n"


class _Writer:
    """One attempt at the text, with labels of at most `limit` characters per line (0: no labels on edges)."""

    def __init__(self, diagram: Diagram, theme: Theme, direction: str, limit: int) -> None:
        self.diagram = diagram
        self.theme = theme
        self.direction = direction
        self.limit = limit
        self.colours: Palette = palette(theme)
        self.slugs = slugs(node.id for node in diagram.nodes)
        self.clusters = slugs((cluster.id for cluster in diagram.clusters), "c_")
        self.contents = diagram.contents()

    def document(self, legend: Sequence[Entry]) -> Iterator[str]:
        yield from self._front()
        yield f"flowchart {self.direction}"
        kind = self.diagram.what or ("Run of workflow" if self.diagram.is_trace else "Workflow")
        yield f"  accTitle: {mermaid_prose(one_line(f'{kind} {self.diagram.name}'))}"
        yield f"  accDescr: {mermaid_prose(self.diagram.description)}"
        yield ""
        yield from self._nodes(None, "  ")
        yield ""
        for edge in self.diagram.edges:
            yield self._edge(edge)
        if legend:
            yield from self._legend(legend)
        yield ""
        yield from self._classes(legend)
        yield from self._link_styles()

    def _front(self) -> Iterator[str]:
        yield "---"
        yield f"title: {quoted(one_line(self._title(), 120))}"
        yield "config:"
        if self.theme != "auto":
            yield "  theme: base"
        yield "  flowchart:"
        for line in ("curve: basis", "nodeSpacing: 40", "rankSpacing: 42", "padding: 12", "htmlLabels: true"):
            yield f"    {line}"
        yield "    wrappingWidth: 400"
        if self.theme != "auto":
            yield "  themeVariables:"
            for name, value in self._theme_variables():
                yield f"    {name}: {value}"
        yield "---"

    def _title(self) -> str:
        if not self.diagram.is_trace:
            return " · ".join((self.diagram.name, *self.diagram.facts[:1]))
        run = [fact for fact in self.diagram.facts if fact.startswith("run ") and len(fact) <= 16]
        return " · ".join((self.diagram.name, *run, self.diagram.notice))

    def _theme_variables(self) -> Iterator[tuple[str, str]]:
        colours = self.colours
        yield "fontFamily", FONT
        yield "fontSize", "14px"
        yield "lineColor", f"'{colours.line}'"
        if self.theme == "dark":
            yield "darkMode", "true"
            yield "background", f"'{colours.page}'"
            yield "primaryTextColor", f"'{colours.text}'"
            yield "nodeTextColor", f"'{colours.text}'"
        yield "textColor", f"'{colours.text}'"
        yield "titleColor", f"'{colours.title}'"
        yield "edgeLabelBackground", f"'{colours.page}'"
        yield "clusterBkg", f"'{colours.page}'"
        yield "clusterBorder", f"'{colours.border}'"

    def _nodes(self, cluster: str | None, indent: str) -> Iterator[str]:
        """Write what is in a cluster. It has no title: the arrow to the node at its head would go through it."""
        for part in self.contents[cluster]:
            if isinstance(part, DrawnNode):
                yield indent + self._node(part)
            else:
                yield f'{indent}subgraph {self.clusters[part.id]}[" "]'
                yield from self._nodes(part.id, f"{indent}  ")
                yield f"{indent}end"

    def _node(self, node: DrawnNode) -> str:
        opening, closing = _SHAPES.get(node.kind, _ROUND)
        return f"{self.slugs[node.id]}{opening}{self._label(node)}{closing}:::{_class_of(node)}"

    def _label(self, node: DrawnNode) -> str:
        limit = max(self.limit, 10)
        title = mermaid_text(shorten(node.title, limit))
        if node.kind in ("start", "end"):
            return title
        glyph = f"{GLYPHS[node.status]} " if node.status else ""
        lines = [f"{glyph}<b>{title}</b>" + (f" {mermaid_text(node.times)}" if node.times else "")]
        if node.detail:
            lines.append(mermaid_text(shorten(node.detail, limit)))
        if node.strip:
            lines.append(" ".join(chip(status) for status in node.strip))
        return "<br/>".join(lines)

    def _edge(self, edge: DrawnEdge) -> str:
        lines = [*edge.lines, *([edge.type] if edge.type else [])] if self.limit else []
        label = mermaid_text(shorten("\n".join(one_line(line, self.limit) for line in lines), self.limit))
        arrow = _arrow(edge)
        text = f'{arrow}|"{label}"|' if lines else arrow
        return f"  {self.slugs[edge.source]} {text} {self.slugs[edge.target]}"

    def _legend(self, legend: Sequence[Entry]) -> Iterator[str]:
        totals = mermaid_text(one_line(" · ".join(self.diagram.facts), 120))
        yield ""
        yield f'  subgraph g_legend["{totals}"]'
        yield f"    direction {_CROSSING_DIRECTION.get(self.direction, 'LR')}"
        for start in range(0, len(legend), ROW):
            yield f"    {' ~~~ '.join(_chip(entry) for entry in legend[start : start + ROW])}"
        yield "  end"
        ends = (node for node in reversed(self.diagram.nodes) if node.kind == "end" and node.cluster is None)
        last = next(ends, None)
        if last is not None and self.direction == "TB":
            yield f"  {self.slugs[last.id]} ~~~ g_legend"
        yield f"  classDef legend fill:none,stroke:{self.colours.border}" + self._legend_text()
        yield "  class g_legend legend"

    def _legend_text(self) -> str:
        return "" if self.theme == "auto" else f",color:{self.colours.text}"

    def _classes(self, legend: Sequence[Entry]) -> Iterator[str]:
        used = dict.fromkeys(_class_of(node) for node in self.diagram.nodes)
        used.update(dict.fromkeys(_class_of_entry(entry) for entry in legend))
        for name in used:
            style = self.colours.statuses[Status(name)] if name in set(Status) else self.colours.kind(name)
            yield f"  classDef {name} {_css(style)}"
        yield from self._frames()

    def _frames(self) -> Iterator[str]:
        heads = {node.id: node for node in self.diagram.nodes}
        groups: dict[Status | None, list[str]] = {}
        for id_, slug in self.clusters.items():
            groups.setdefault(heads[id_].status, []).append(slug)
        for status, members in groups.items():
            name = f"cluster_{status}" if status else "cluster_open"
            style = self.colours.frame(status)
            fill = "none" if self.theme == "auto" else style.fill
            yield f"  classDef {name} {_css(replace(style, fill=fill))}"
            yield f"  class {','.join(members)} {name}"

    def _link_styles(self) -> Iterator[str]:
        groups: dict[str, list[str]] = {}
        for index, edge in enumerate(self.diagram.edges):
            groups.setdefault(self._stroke(edge), []).append(str(index))
        for stroke, indices in groups.items():
            yield f"  linkStyle {','.join(indices)} {stroke}"

    def _stroke(self, edge: DrawnEdge) -> str:
        if edge.status is not None:
            style = self.colours.statuses[edge.status]
            colour = COMPARED_ON_BOTH.get(edge.status, style.stroke) if self.theme == "auto" else style.stroke
            return f"stroke:{colour},stroke-width:{min(style.width, 2.5):g}px"
        if edge.error and edge.taken != 0:
            colour = FAILED_ON_BOTH if self.theme == "auto" else self.colours.failed_text
            return f"stroke:{colour},stroke-width:{2.5 if edge.taken else 1.5}px"
        if edge.taken is None:
            return f"stroke:{self.colours.line},stroke-width:1.5px"
        if edge.taken:
            colour = TAKEN_ON_BOTH if self.theme == "auto" else self.colours.taken
            return f"stroke:{colour},stroke-width:2.5px"
        return f"stroke:{self.colours.untaken},stroke-width:1px"


def quoted(text: str) -> str:
    """Return a YAML string; what Mermaid looks for in the raw text before it reads the YAML is written as codes."""
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[%<>{}#`]", lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _chip(entry: Entry) -> str:
    opening, closing = _SHAPES.get(entry.kind, _ROUND)
    words = entry.words if entry.status else mermaid_text(entry.words)
    return f"l_{entry.name}{opening}{words}{closing}:::{_class_of_entry(entry)}"


def _class_of_entry(entry: Entry) -> str:
    return "function" if entry.kind == "map" else entry.name


def _arrow(edge: DrawnEdge) -> str:
    if edge.status is not None:
        style = LIGHT.statuses[edge.status]
        return "-.->" if style.dashed or edge.error else "==>" if style.width > 2 else "-->"
    if edge.error or edge.taken == 0 or (edge.back and not edge.taken):
        return "-.->"
    return "==>" if edge.taken else "-->"


def _class_of(node: DrawnNode) -> str:
    if node.status:
        return str(node.status)
    return node.colours if node.colours in LIGHT.kinds else "function"


def _css(style: Style) -> str:
    dash = f",stroke-dasharray:{'9 4' if style.width > 2 else '4 3'}" if style.dashed else ""
    return f"fill:{style.fill},stroke:{style.stroke},stroke-width:{style.width:g}px{dash},color:{style.text}"
