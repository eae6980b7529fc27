"""What is inside the sub-workflows of a picture, as parts of a page that can be unfolded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from milepost.engine.definition import Definition
from milepost.visualize.diagram import Diagram, DrawnNode
from milepost.visualize.escape import markup, one_line
from milepost.visualize.folding import fold
from milepost.visualize.nesting import Inside, Subject, drawn, insides, paths
from milepost.visualize.palette import GLYPHS
from milepost.visualize.tables import child_table, declared_tables

MAX_PANELS: Final = 40
"""On one page: each may need a picture, which takes a moment to be laid out."""

MAX_LEVELS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What is inside one node.

    id: of its part of the page. path: the ids of the nodes around the node, and its own. head: the node as it is drawn
    where it is closed. around: the workflow or run that the node is in. diagram: the picture, with everything closed.
    inner: what is inside the nodes of that.
    """

    id: str
    path: tuple[str, ...]
    head: DrawnNode
    inside: Inside
    around: Subject
    diagram: Diagram
    inner: tuple[Panel, ...]


def panels(subject: Subject, *, types: bool = False) -> tuple[Panel, ...]:
    """Return what is inside the nodes of a workflow or run, so many of them as one page can show."""
    return _panels(subject, (), iter(range(1, MAX_PANELS + 1)), types)


def _panels(subject: Subject, path: tuple[str, ...], numbers: Iterator[int], types: bool) -> tuple[Panel, ...]:
    found: Mapping[str, Inside] = insides(subject) if len(path) < MAX_LEVELS else {}
    heads = {node.own: node for node in drawn(subject, types=types).nodes} if found else {}
    return tuple(
        Panel(
            id=f"inside_{number}",
            path=(*path, id_),
            head=heads[id_],
            inside=inside,
            around=subject,
            diagram=fold(drawn(inside.subject, types=types)),
            inner=_panels(inside.subject, (*path, id_), numbers, types),
        )
        for (id_, inside), number in zip(found.items(), numbers, strict=False)
    )


def every(some: Iterable[Panel]) -> Iterator[Panel]:
    """Yield some panels and all those inside them."""
    for panel in some:
        yield panel
        yield from every(panel.inner)


def links(diagram: Diagram, known: Iterable[Panel], path: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Return which nodes of a picture lead to which panels. path: where the picture itself is."""
    ids = {panel.path: panel.id for panel in known}
    where = {id_: (*path, *own) for id_, own in paths(diagram).items()}
    return {id_: ids[own] for id_, own in where.items() if own in ids}


def sections(some: Iterable[Panel], figures: Mapping[str, str]) -> Iterator[str]:
    """Yield the panels, folded. figures: by id, the pictures of those that have one."""
    for panel in some:
        head = panel.head
        glyph = f"{GLYPHS[head.status]} " if head.status else ""
        title = markup(f"{glyph}{one_line(head.title)} {head.times}".rstrip())
        about = markup(one_line(head.detail, 200))
        yield f'<details><summary><b>{title}</b> <span class="why">{about}</span></summary><div id="{panel.id}">'
        if panel.id in figures:
            yield f"<figure>{figures[panel.id]}</figure>"
        yield from sections(panel.inner, figures)
        if isinstance(panel.around, Definition):
            yield from declared_tables(panel.diagram)
        else:
            yield from child_table(panel.inside.tasks, panel.around)
        yield "</div></details>"
