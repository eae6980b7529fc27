"""Which run was forked from which, as lanes and as a page: drawn by ourselves, so Graphviz is not needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from milepost.engine.family import Relative
from milepost.engine.trace import moment
from milepost.visualize.document import whole
from milepost.visualize.escape import markup, one_line
from milepost.visualize.forks import MOST_RUNS, STANDING, described, stands, told
from milepost.visualize.palette import DARK, GLYPHS, LIGHT, Palette, Status, Theme
from milepost.visualize.wording import plural

_LEFT: Final = 40
_STEP: Final = 104
_ROW: Final = 74
_TOP: Final = 46
_LABEL: Final = 460
"""Room for what stands behind a lane."""
_SHEET: Final = """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,"Segoe UI",Arial,sans-serif}
main{max-width:76rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{margin:0;font-size:1.6rem;color:var(--title);overflow-wrap:anywhere}
h2{margin:2.5rem 0 .75rem;font-size:1.05rem;color:var(--title)}
.facts{margin:.35rem 0 0;color:var(--muted)}
figure{margin:1.5rem 0 0;padding:.5rem;border:1px solid var(--border);border-radius:.75rem;overflow-x:auto}
.scroll{overflow-x:auto;border:1px solid var(--border);border-radius:.75rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.45rem .8rem;text-align:left;vertical-align:top;border-top:1px solid var(--border);overflow-wrap:anywhere}
thead th{border-top:0;color:var(--muted);font-weight:600;white-space:nowrap}
footer{margin-top:2.5rem;color:var(--muted);font-size:.85rem}
""".strip()
_LOOK: Final = """
.l{fill:none;stroke:var(--line);stroke-width:2.5}
.t{font:600 13px Arial,"Liberation Sans",Helvetica,sans-serif;fill:var(--title)}
.m{font:12px Arial,"Liberation Sans",Helvetica,sans-serif;fill:var(--muted);
  paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}
""".strip()


def lanes(family: Sequence[Relative], asked: str, theme: Theme = "light") -> str:
    """Return a family of runs as a self-contained SVG. asked: the run that was asked for, whose name is marked."""
    return _svg(family[:MOST_RUNS], asked, f"<style>{_colours(theme)}{_LOOK}</style>") + "\n"


def page(family: Sequence[Relative], asked: str, theme: Theme = "auto") -> str:
    """Return a family of runs as one HTML file that may load and run nothing: its picture, and its runs as a table."""
    sheet = f"{_colours(theme)}{_SHEET}{_LOOK}"
    name = one_line(family[0].row.workflow)
    facts = plural(len(family), "run")
    if len(family) > MOST_RUNS:
        facts += f", of which the picture shows the first {MOST_RUNS}"
    body = (
        "<main>\n"
        f'<h1>{markup(name)}</h1>\n<p class="facts">{facts}, and what was forked from what</p>\n'
        f'<figure tabindex="0" aria-label="Picture of the forks">{_svg(family[:MOST_RUNS], asked)}</figure>\n'
        f"{''.join(_table(family, asked))}"
        "<footer>Drawn by Milepost from the store of these runs.</footer>\n</main>"
    )
    return whole(title=f"{name} · forks", theme=theme, body=body, sheet=sheet)


def _svg(shown: Sequence[Relative], asked: str, style: str = "") -> str:
    columns = {seq: number for number, seq in enumerate(sorted({one.seq for each in shown for one in each.stations}))}
    rows = {run_id: number for number, run_id in enumerate(_order(shown))}
    width = _LEFT + _STEP * (len(columns) - 1) + _LABEL
    height = _TOP + _ROW * (len(shown) - 1) + 34

    def x(seq: int) -> int:
        return _LEFT + _STEP * columns[seq]

    def y(run_id: str) -> int:
        return _TOP + _ROW * rows[run_id]

    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    label = markup(described(shown))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">{style}']
    for each in shown:
        row, level = each.row, y(each.row.run_id)
        first, last = x(each.stations[0].seq), x(row.seq)
        if row.forked_from in rows:
            start, above = x(row.forked_at), y(row.forked_from)
            bend = f"M{start} {above}C{start} {level - 22} {start + 14} {level} {first} {level}"
            parts.append(f'<path class="l" d="{bend}"/>')
        parts.append(f'<path class="l" d="M{first} {level}H{last}"/>')
    for each in shown:
        parts += _stops(each, asked, [x(one.seq) for one in each.stations], y(each.row.run_id))
    return "".join((*parts, "</svg>"))


def _order(shown: Sequence[Relative]) -> Iterator[str]:
    """Yield the runs from above to below: of two forks first that of the later checkpoint, so that no lines cross."""
    forks: dict[str | None, list[str]] = {}
    for each in shown[1:]:
        forks.setdefault(each.row.forked_from, []).append(each.row.run_id)
    pending = [shown[0].row.run_id]
    while pending:
        run_id = pending.pop()
        yield run_id
        pending.extend(forks.get(run_id, ()))


def _stops(each: Relative, asked: str, places: Sequence[int], level: int) -> Iterator[str]:
    """Draw the checkpoints of a run, and behind the newest one what it is called and how it stands."""
    row = each.row
    status, word = stands(each)
    for station, place in zip(each.stations, places, strict=True):
        words = markup(one_line(told(station), 15))
        height = level - (20 if station.seq == row.seq else 13)
        yield f'<g><title>{markup(told(station))}</title><text class="m" x="{place}" y="{height}" '
        yield f'text-anchor="middle">{words}</text>'
        if station.seq != row.seq:
            yield f'<circle class="k" cx="{place}" cy="{level}" r="6"/></g>'
            continue
        yield f'<circle class="b {status}" cx="{place}" cy="{level}" r="13"/>'
        yield f'<text class="g {status}" x="{place}" y="{level + 5}" text-anchor="middle">{GLYPHS[status]}</text></g>'
    mark = " ◂" if row.run_id == asked else ""
    about = f"{word}: {one_line(row.error, 40)}" if row.error else word
    yield f'<text class="t" x="{places[-1] + 26}" y="{level + 1}">{markup(one_line(row.run_id, 40))}{mark}</text>'
    yield f'<text class="m" x="{places[-1] + 26}" y="{level + 17}">{markup(about)}</text>'


def _table(family: Sequence[Relative], asked: str) -> Iterator[str]:
    names = ("Run", "Status", "Forked from", "At checkpoint", "Checkpoints", "Begun", "Error")
    cells = "".join(f'<th scope="col">{name}</th>' for name in names)
    yield f'<h2>Runs</h2>\n<div class="scroll" tabindex="0"><table>\n<thead><tr>{cells}</tr></thead>\n<tbody>'
    for each in family:
        row = each.row
        status, word = stands(each)
        mark = " (this run)" if row.run_id == asked else ""
        rest = (
            f"{GLYPHS[status]} {word}",
            row.forked_from or "",
            str(row.forked_at or ""),
            str(row.seq),
            f"{moment(row.created):%Y-%m-%d %H:%M:%S} UTC",
            one_line(row.error, 300) if row.error else "",
        )
        told_ = "".join(f"<td>{markup(text)}</td>" for text in rest)
        yield f'<tr><th scope="row">{markup(row.run_id)}{mark}</th>{told_}</tr>\n'
    yield "</tbody></table></div>\n"


def _colours(theme: Theme) -> str:
    if theme == "auto":
        return f"{_variables(LIGHT)}@media (prefers-color-scheme:dark){{{_variables(DARK)}}}\n"
    return f"{_variables(DARK if theme == 'dark' else LIGHT)}\n"


def _variables(colours: Palette) -> str:
    names = ("page", "title", "text", "muted", "border", "line")
    root = "".join(f"--{name}:{getattr(colours, name)};" for name in names)
    marks = "".join(_mark(status, colours) for status in (*STANDING.values(), Status.PENDING))
    return f":root,svg{{{root}}}.k{{fill:{colours.page};stroke:{colours.line};stroke-width:2.5}}{marks}"


def _mark(status: Status, colours: Palette) -> str:
    style = colours.statuses[status]
    return (
        f".b.{status}{{fill:{style.fill};stroke:{style.stroke};stroke-width:{style.width:g}}}"
        f".g.{status}{{font:600 14px Arial,sans-serif;fill:{style.text}}}"
    )
