"""A picture as Graphviz DOT text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from milepost.visualize.diagram import Diagram, DrawnEdge, DrawnNode, Entry
from milepost.visualize.escape import dot_html, dot_string, one_line, shorten, slugs
from milepost.visualize.palette import Palette, Status, Style, Theme, chip, palette
from milepost.visualize.shapes import SHAPES, shape, title_lines

FONT: Final = "Arial"
"""One name only: the builds without a font engine know its widths, and fall back to Times for a list of names."""

ROW: Final = 5
"""Samples that stand side by side in a legend of kinds."""

_TABLE: Final = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">'


def dot(
    diagram: Diagram,
    theme: Theme = "light",
    *,
    rich: bool = True,
    direction: str = "TB",
    legend: bool | None = None,
    heading: bool = True,
    colours: Palette | None = None,
) -> str:
    """Return the diagram as a DOT digraph.

    rich: bold titles, muted lines and item strips by HTML-like labels; False for the builds that cannot draw those.
    legend: None for one under the picture of a run only. heading: False where the page has one of its own. colours:
    instead of the theme's own.
    """
    writer = _Writer(diagram, colours or palette(theme), rich=rich, direction=direction, heading=heading)
    return "\n".join(writer.document(diagram.entries(legend))) + "\n"


class _Writer:
    def __init__(self, diagram: Diagram, colours: Palette, *, rich: bool, direction: str, heading: bool) -> None:
        self.diagram = diagram
        self.colours = colours
        self.rich = rich
        self.direction = direction
        self.heading = heading
        self.slugs = slugs(node.id for node in diagram.nodes)
        self.clusters = slugs((cluster.id for cluster in diagram.clusters), "c_")
        self.contents = diagram.contents()
        self.nodes = {node.id: node for node in diagram.nodes}

    def document(self, legend: Sequence[Entry]) -> Iterator[str]:
        yield f"digraph {dot_string(one_line(self.diagram.name))} {{"
        yield f"  graph [{', '.join(self._graph())}]"
        yield f"  node [fontname={FONT}, fontsize=12, penwidth=1.4, height=0.3]"
        look = f'fontcolor="{self.colours.text}", color="{self.colours.line}", penwidth=1.3, arrowsize=0.75'
        yield f"  edge [fontname={FONT}, fontsize=10.5, {look}]"
        yield ""
        yield from self._nodes(None, "  ")
        yield ""
        for number, edge in enumerate(self.diagram.edges):
            yield self._edge(number, edge)
        if legend:
            yield from self._statuses(legend) if self.diagram.is_trace else self._kinds(legend)
        yield "}"

    def _graph(self) -> Iterator[str]:
        page = self.colours.page if self.colours.name == "dark" else "transparent"
        yield f"rankdir={'LR' if self.direction == 'LR' else 'TB'}"
        yield f'bgcolor="{page}"'
        yield "pad=0.3"
        yield f"nodesep={0.35 if self.direction == 'LR' else 0.5}"
        yield f"ranksep={0.55 if self.direction == 'LR' else 0.42}"
        if self.heading:
            yield f'fontname={FONT}, fontsize=15, fontcolor="{self.colours.title}", labelloc=t'
            yield f"label={self._heading()}"
        yield f"tooltip={dot_string(one_line(self.diagram.name))}"

    def _heading(self) -> str:
        name, facts = one_line(self.diagram.name), one_line(" · ".join(self.diagram.facts), 120)
        notice = one_line(self.diagram.notice, 120)
        if not self.rich:
            return dot_string("\n".join((*filter(None, (name, notice, facts)), "")))
        rows = [f"<B>{dot_html(name)}</B>"]
        if notice:
            rows.append(f'<FONT POINT-SIZE="11.5" COLOR="{self._notice_colour()}"><B>{dot_html(notice)}</B></FONT>')
        rows.append(f'<FONT POINT-SIZE="11" COLOR="{self.colours.muted}">{dot_html(facts)}</FONT>')
        rows.append('<FONT POINT-SIZE="7"> </FONT>')
        cells = "".join(f"<TR><TD>{row}</TD></TR>" for row in rows)
        return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{cells}</TABLE>>'

    def _notice_colour(self) -> str:
        status = self.diagram.notice_status or Status.DONE
        return self.colours.failed_text if status is Status.FAILED else self.colours.statuses[status].stroke

    def _nodes(self, cluster: str | None, indent: str) -> Iterator[str]:
        if cluster is not None:
            yield f"{indent}graph [{', '.join(self._frame(self.nodes[cluster]))}]"
        for part in self.contents[cluster]:
            if isinstance(part, DrawnNode):
                yield indent + self._node(part)
            else:
                yield f"{indent}subgraph cluster_{self.clusters[part.id]} {{"
                yield from self._nodes(part.id, f"{indent}  ")
                yield f"{indent}}}"

    def _frame(self, head: DrawnNode) -> Iterator[str]:
        """Give the attributes of a cluster; all of them, or it has those of the whole picture."""
        style = self.colours.frame(head.status)
        yield f'id="{self.clusters[head.id]}"'
        yield 'label="", margin=14'
        yield f'style="rounded,filled{",dashed" if style.dashed else ""}"'
        yield f'fillcolor="{style.fill}", color="{style.stroke}", penwidth={style.width:g}'
        yield f"tooltip={dot_string(one_line(head.title, 300))}"

    def _node(self, node: DrawnNode) -> str:
        style = self.colours.statuses[node.status] if node.status else self.colours.kind(node.colours)
        slug = self.slugs[node.id]
        attributes = [
            f'id="{slug}"',
            f"label={self._label(node, style)}",
            shape(node, rich=self.rich),
            _painted(node.kind, style),
            f"tooltip={dot_string(one_line(node.tooltip or node.title, 300))}",
        ]
        return f"{slug} [{', '.join(attributes)}]"

    def _label(self, node: DrawnNode, style: Style) -> str:
        titles = title_lines(node)
        if node.kind in ("start", "end"):
            return dot_string("\n".join(titles))
        detail = shorten(node.detail).split("\n") if node.detail else []
        if not self.rich:
            strip = [" ".join(chip(status) for status in node.strip)] if node.strip else []
            return dot_string("\n".join((*titles, *detail, *strip)))
        rows = [f"<TR><TD><B>{dot_html(line)}</B></TD></TR>" for line in titles]
        for line in detail:
            rows.append(f'<TR><TD><FONT POINT-SIZE="10.5" COLOR="{style.muted}">{dot_html(line)}</FONT></TD></TR>')
        if node.strip:
            rows.append(f"<TR><TD>{self._strip(node.strip)}</TD></TR>")
        return f"<{_TABLE}{''.join(rows)}</TABLE>>"

    def _strip(self, strip: tuple[Status, ...]) -> str:
        cells = "".join(self._cell(index, status) for index, status in enumerate(strip))
        size = (
            f'FIXEDSIZE="TRUE" WIDTH="{23 * len(strip) + 3}" HEIGHT="22"'  # or it is spread over the width of its node
        )
        return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3" CELLPADDING="0" {size}><TR>{cells}</TR></TABLE>'

    def _cell(self, index: int, status: Status) -> str:
        style = self.colours.statuses[status]
        fill, text = style.fill, style.text
        if status is Status.FAILED:  # red on the red of its node could not be seen
            fill, text = style.text, style.fill
        return (
            f'<TD BGCOLOR="{fill}" COLOR="{style.stroke}" BORDER="1" WIDTH="20" HEIGHT="16" FIXEDSIZE="TRUE">'
            f'<FONT POINT-SIZE="9" COLOR="{text}">{chip(status)}</FONT></TD>'
        )

    def _edge(self, number: int, edge: DrawnEdge) -> str:
        attributes = [f'id="e_{number}"', *self._edge_look(edge)]
        lines = [one_line(line) for line in edge.lines]
        if lines or edge.type:
            attributes.insert(1, f"label={self._edge_label(lines, one_line(edge.type))}")
        tail, head = self.slugs[edge.source], self.slugs[edge.target]
        if edge.back and self._is_around_cluster(edge):
            tail, head = head, tail
            attributes.append("dir=back")  # with a place of its own beside the cluster, or it would cut across
        elif edge.back:
            attributes.append("constraint=false")
        elif edge.spine:
            attributes.append("weight=10")
        return f"  {tail} -> {head} [{', '.join(attributes)}]"

    def _is_around_cluster(self, edge: DrawnEdge) -> bool:
        source, target = self.nodes[edge.source], self.nodes[edge.target]
        return source.cluster != target.cluster or (source.kind == "end" and source.cluster is not None)

    def _edge_look(self, edge: DrawnEdge) -> Iterator[str]:
        if edge.status is not None:
            style = self.colours.statuses[edge.status]
            yield f'color="{style.stroke}", penwidth={2.4 if style.width > 2 else 1.0 if style.width <= 1 else 1.4}'
            if style.dashed or edge.error:
                yield "style=dashed"
        elif edge.error and edge.taken != 0:
            colour = self.colours.failed_text
            yield f'color="{colour}", fontcolor="{colour}", style=dashed' + (", penwidth=2.4" if edge.taken else "")
        elif edge.taken:
            yield f'color="{self.colours.taken}", penwidth=2.4'
        elif edge.taken == 0:
            yield f'color="{self.colours.untaken}", fontcolor="{self.colours.untaken_text}", style=dashed, penwidth=1.0'
        elif edge.back:
            yield "style=dashed"

    def _edge_label(self, lines: list[str], type_: str) -> str:
        if not self.rich:
            return dot_string("".join(f" {line}\n" for line in (*lines, type_) if line).rstrip("\n"))
        rows = [f'&nbsp;{dot_html(line)}<BR ALIGN="LEFT"/>' for line in lines]
        if type_:
            colour = self.colours.muted
            rows.append(f'&nbsp;<FONT COLOR="{colour}"><I>{dot_html(type_)}</I></FONT><BR ALIGN="LEFT"/>')
        return f"<{''.join(rows)}>"

    def _statuses(self, legend: Sequence[Entry]) -> Iterator[str]:
        """Draw the statuses in use, side by side or below one another: across the way that the picture goes."""
        is_across = self.direction != "LR"
        if self.rich:
            chips = ("" if is_across else "</TR><TR>").join(map(self._chip, legend))
            size = f'CELLSPACING="{8 if is_across else 4}" CELLPADDING="3"'
            table = f'<TABLE BORDER="0" CELLBORDER="0" {size}><TR>{chips}</TR></TABLE>'
            yield f"  l_legend [shape=plain, label=<{table}>]"
        else:
            words = dot_string(("    " if is_across else "\n").join(entry.words for entry in legend))
            yield f'  l_legend [shape=plaintext, fontcolor="{self.colours.text}", label={words}]'
        yield from self._pinned("l_legend")

    def _kinds(self, legend: Sequence[Entry]) -> Iterator[str]:
        """Draw a sample of each kind, in rows; in the picture of a definition the shapes are what a legend explains."""
        for entry in legend:
            yield f"  l_{entry.name} [{', '.join(self._sample(entry))}]"
        if self.direction == "LR":
            yield f"  {' -> '.join(f'l_{entry.name}' for entry in legend)} [style=invis]"
            return
        for start in range(0, len(legend), ROW):
            row = [f"l_{entry.name}" for entry in legend[start : start + ROW]]
            yield f"  {{ rank=same; {'; '.join(row)} }}"
            if len(row) > 1:
                yield f"  {' -> '.join(row)} [style=invis]"
            for place, slug in enumerate(row):
                if start:
                    yield f"  l_{legend[start - ROW + place].name} -> {slug} [style=invis]"
                else:
                    yield from self._pinned(slug, weight=1)

    def _sample(self, entry: Entry) -> Iterator[str]:
        style = self.colours.kind("function" if entry.kind == "map" else entry.kind)
        words = dot_string(entry.words)
        yield f"label={words}, fontsize=9, tooltip={words}"
        yield shape(DrawnNode(id=entry.name, kind=entry.kind, base=entry.kind, title=entry.words), rich=False)
        yield "width=0.9, height=0.5" if entry.kind == "decision" else "height=0.25"
        yield _painted(entry.kind, style)

    def _pinned(self, slug: str, weight: int = 10) -> Iterator[str]:
        """Keep a legend below the picture."""
        if self.direction != "LR" and self.diagram.nodes:
            yield f"  {self.slugs[self.diagram.nodes[-1].id]} -> {slug} [style=invis, weight={weight}]"

    def _chip(self, entry: Entry) -> str:
        style = self.colours.statuses[entry.status or Status.DONE]
        look = "rounded,dashed" if style.dashed else "rounded"
        return (
            f'<TD BGCOLOR="{style.fill}" COLOR="{style.stroke}" BORDER="{2 if style.width > 2 else 1}" STYLE="{look}">'
            f'<FONT COLOR="{style.text}" POINT-SIZE="10">&nbsp;{dot_html(entry.words)}&nbsp;</FONT></TD>'
        )


def _painted(kind: str, style: Style) -> str:
    """Return the attributes of a node that its colours and its border are."""
    looks = ["filled"]
    if kind == "fold" or kind not in SHAPES:
        looks.append("rounded")
    if style.dashed:
        looks.append("dashed")
    colours = f'fillcolor="{style.fill}", color="{style.stroke}", fontcolor="{style.text}"'
    return f'style="{",".join(looks)}", {colours}, penwidth={_pen(style)}'


def _pen(style: Style) -> float:
    return 2.6 if style.width > 2 else 1.0 if style.width <= 1 else 1.4
