"""Colours, shapes and glyphs of every picture.

The pairs were measured, and the tests measure them again: text has at least 4.5:1 on its fill, a stroke at least 3:1 on
the page or on its fill, and no two statuses differ by colour alone. So a reader who sees no red and green, or a print
in grey, still tells them apart by glyph, border and dash; kinds of nodes are told apart by their shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

Theme = Literal["light", "dark", "auto"]
"""auto: looks right on a light and on a dark page."""


class Status(StrEnum):
    """How far a node or an item of a map has come; in the order in which a legend lists them.

    The last ones are of comparisons: of two versions of a workflow, and of two runs.
    """

    DONE = "done"
    RETRIED = "retried"
    RUNNING = "running"
    PENDING = "pending"
    WAITING = "waiting"
    FAILED = "failed"
    CAUGHT = "caught"
    REUSED = "reused"
    CANCELLED = "cancelled"
    UNREACHED = "unreached"
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    FIRST = "first"
    SECOND = "second"
    PARTED = "parted"
    OTHER = "other"
    SAME = "same"


GLYPHS: Final[dict[Status, str]] = {
    Status.DONE: "✓",
    Status.RETRIED: "✓",
    Status.RUNNING: "▸",
    Status.PENDING: "…",
    Status.WAITING: "‖",
    Status.FAILED: "✗",
    Status.CAUGHT: "!",
    Status.REUSED: "↺",
    Status.CANCELLED: "⊘",
    Status.UNREACHED: "○",
    Status.ADDED: "+",
    Status.REMOVED: "−",
    Status.CHANGED: "Δ",
    Status.FIRST: "◐",
    Status.SECOND: "◑",
    Status.PARTED: "◆",
    Status.OTHER: "≠",
    Status.SAME: "=",
}
"""Never the pause and play signs of the emoji block: browsers draw them in colour whatever the style says."""

RETRY: Final = "↻"

EVENT_GLYPHS: Final = {"stopped": "✗", "resumed": RETRY, "forked": "⑂", "edited": "✎"}
"""The glyphs of what happened to a whole run."""

WORDS: Final[dict[Status, str]] = {
    Status.DONE: "done",
    Status.RETRIED: "done after retry",
    Status.RUNNING: "running",
    Status.PENDING: "still to do",
    Status.WAITING: "waiting",
    Status.FAILED: "failed",
    Status.CAUGHT: "caught",
    Status.REUSED: "reused",
    Status.CANCELLED: "cancelled",
    Status.UNREACHED: "not reached",
    Status.ADDED: "added",
    Status.REMOVED: "removed",
    Status.CHANGED: "changed",
    Status.FIRST: "only the first run",
    Status.SECOND: "only the second run",
    Status.PARTED: "they part here",
    Status.OTHER: "came out otherwise",
    Status.SAME: "the same",
}

INTERRUPTED: Final = "interrupted"
"""What a run is that is running as far as its store was told, while no process drives it."""

KIND_WORDS: Final[dict[str, str]] = {
    "function": "function",
    "agent": "agent",
    "decision": "decision",
    "map": "once per item",
    "join": "join",
    "ask": "a person answers",
    "wait": "an event comes",
    "sleep": "a time passes",
    "race": "the first of several",
    "workflow": "workflow",
    "fold": "several nodes",
}
"""What a legend says of a kind; in its order."""


def chip(status: Status) -> str:
    """Return the glyph of one item: as a node's, but a retried one is told apart by its glyph."""
    return RETRY if status is Status.RETRIED else GLYPHS[status]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a box is painted. Colours are `#rrggbb`; width is the stroke's, in px; hatch: of its stripes, or ""."""

    fill: str
    stroke: str
    text: str
    muted: str
    width: float = 1.5
    dashed: bool = False
    hatch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Every colour of one theme."""

    name: str
    page: str
    title: str
    text: str
    muted: str
    line: str
    taken: str
    untaken: str
    untaken_text: str
    failed_text: str
    border: str
    kinds: dict[str, Style]
    statuses: dict[Status, Style]

    def kind(self, kind: str) -> Style:
        """Return the style of a kind; a kind this version does not know looks like a function."""
        return self.kinds.get("terminal" if kind in ("start", "end") else kind, self.kinds["function"])

    def frame(self, status: Status | None) -> Style:
        """Return the style of the frame around a sub-workflow that is drawn open. status: None in a definition."""
        style = self.kinds["cluster"]
        if status is None:
            return style
        node = self.statuses[status]
        return replace(style, stroke=node.stroke, width=min(node.width, 1.5), dashed=node.dashed)


def _kind(fill: str, stroke: str, text: str, muted: str) -> Style:
    return Style(fill=fill, stroke=stroke, text=text, muted=muted)


_TERMINAL_LIGHT = _kind("#1e293b", "#94a3b8", "#ffffff", "#e2e8f0")
_TERMINAL_DARK = _kind("#e2e8f0", "#94a3b8", "#0f172a", "#334155")

LIGHT: Final = Palette(
    name="light",
    page="#ffffff",
    title="#0f172a",
    text="#334155",
    muted="#64748b",
    line="#64748b",
    taken="#15803d",
    untaken="#8491a5",
    untaken_text="#5b6b82",
    failed_text="#b91c1c",
    border="#e2e8f0",
    kinds={
        "terminal": _TERMINAL_LIGHT,
        "function": _kind("#eff6ff", "#2563eb", "#0f172a", "#475569"),
        "agent": _kind("#f5f3ff", "#7c3aed", "#0f172a", "#475569"),
        "decision": _kind("#fffbeb", "#b45309", "#0f172a", "#475569"),
        "join": _kind("#f1f5f9", "#475569", "#0f172a", "#475569"),
        "ask": _kind("#fdf2f8", "#be185d", "#0f172a", "#475569"),
        "wait": _kind("#f7fee7", "#4d7c0f", "#0f172a", "#475569"),
        "sleep": _kind("#f0fdfa", "#0f766e", "#0f172a", "#475569"),
        "race": _kind("#fff7ed", "#c2410c", "#0f172a", "#475569"),
        "workflow": _kind("#ecfeff", "#0e7490", "#0f172a", "#475569"),
        "cluster": Style(fill="#f8fafc", stroke="#0e7490", text="#0f172a", muted="#475569", width=1, dashed=True),
        "fold": Style(fill="#f8fafc", stroke="#94a3b8", text="#0f172a", muted="#475569", dashed=True),
    },
    statuses={
        Status.DONE: Style(fill="#dcfce7", stroke="#15803d", text="#052e16", muted="#166534"),
        Status.RETRIED: Style(fill="#dcfce7", stroke="#b45309", text="#052e16", muted="#166534", width=3),
        Status.RUNNING: Style(fill="#dbeafe", stroke="#1d4ed8", text="#172554", muted="#1e40af", width=3),
        Status.PENDING: Style(fill="#ffffff", stroke="#1d4ed8", text="#172554", muted="#1e40af", dashed=True),
        Status.WAITING: Style(
            fill="#fef3c7", stroke="#b45309", text="#451a03", muted="#92400e", width=3, dashed=True, hatch="#fde68a"
        ),
        Status.FAILED: Style(fill="#b91c1c", stroke="#7f1d1d", text="#ffffff", muted="#fee2e2", width=3),
        Status.CAUGHT: Style(fill="#fee2e2", stroke="#b91c1c", text="#450a0a", muted="#991b1b", dashed=True),
        Status.REUSED: Style(fill="#f1f5f9", stroke="#15803d", text="#14532d", muted="#166534", dashed=True),
        Status.CANCELLED: Style(fill="#e2e8f0", stroke="#475569", text="#0f172a", muted="#334155"),
        Status.UNREACHED: Style(
            fill="#f8fafc", stroke="#8491a5", text="#5b6b82", muted="#5b6b82", width=1, dashed=True
        ),
        Status.ADDED: Style(fill="#dcfce7", stroke="#15803d", text="#052e16", muted="#166534", width=3),
        Status.REMOVED: Style(fill="#fee2e2", stroke="#b91c1c", text="#450a0a", muted="#991b1b", dashed=True),
        Status.CHANGED: Style(fill="#fef3c7", stroke="#b45309", text="#451a03", muted="#92400e", width=3),
        Status.FIRST: Style(fill="#ffedd5", stroke="#c2410c", text="#431407", muted="#9a3412", dashed=True),
        Status.SECOND: Style(fill="#dbeafe", stroke="#1d4ed8", text="#172554", muted="#1e40af", width=3),
        Status.PARTED: Style(fill="#6d28d9", stroke="#4c1d95", text="#ffffff", muted="#ede9fe", width=3),
        Status.OTHER: Style(fill="#ede9fe", stroke="#6d28d9", text="#2e1065", muted="#5b21b6"),
        Status.SAME: Style(fill="#f8fafc", stroke="#64748b", text="#0f172a", muted="#475569", width=1),
    },
)

DARK: Final = Palette(
    name="dark",
    page="#0d1117",
    title="#f1f5f9",
    text="#cbd5e1",
    muted="#94a3b8",
    line="#94a3b8",
    taken="#4ade80",
    untaken="#64748b",
    untaken_text="#94a3b8",
    failed_text="#fca5a5",
    border="#334155",
    kinds={
        "terminal": _TERMINAL_DARK,
        "function": _kind("#172554", "#60a5fa", "#e2e8f0", "#bfdbfe"),
        "agent": _kind("#2e1065", "#a78bfa", "#e2e8f0", "#ddd6fe"),
        "decision": _kind("#422006", "#fbbf24", "#fef3c7", "#fde68a"),
        "join": _kind("#1e293b", "#94a3b8", "#e2e8f0", "#cbd5e1"),
        "ask": _kind("#500724", "#f472b6", "#fce7f3", "#fbcfe8"),
        "wait": _kind("#1a2e05", "#a3e635", "#ecfccb", "#d9f99d"),
        "sleep": _kind("#042f2e", "#2dd4bf", "#ccfbf1", "#99f6e4"),
        "race": _kind("#431407", "#fb923c", "#ffedd5", "#fed7aa"),
        "workflow": _kind("#083344", "#22d3ee", "#e2e8f0", "#a5f3fc"),
        "cluster": Style(fill="#161b22", stroke="#22d3ee", text="#e2e8f0", muted="#94a3b8", width=1, dashed=True),
        "fold": Style(fill="#161b22", stroke="#64748b", text="#e2e8f0", muted="#94a3b8", dashed=True),
    },
    statuses={
        Status.DONE: Style(fill="#052e16", stroke="#4ade80", text="#dcfce7", muted="#86efac"),
        Status.RETRIED: Style(fill="#052e16", stroke="#fbbf24", text="#dcfce7", muted="#86efac", width=3),
        Status.RUNNING: Style(fill="#172554", stroke="#60a5fa", text="#dbeafe", muted="#93c5fd", width=3),
        Status.PENDING: Style(fill="#0d1117", stroke="#60a5fa", text="#dbeafe", muted="#93c5fd", dashed=True),
        Status.WAITING: Style(
            fill="#451a03", stroke="#fbbf24", text="#fef3c7", muted="#fcd34d", width=3, dashed=True, hatch="#6b2f0a"
        ),
        Status.FAILED: Style(fill="#b91c1c", stroke="#fca5a5", text="#ffffff", muted="#fee2e2", width=3),
        Status.CAUGHT: Style(fill="#450a0a", stroke="#fca5a5", text="#fee2e2", muted="#fecaca", dashed=True),
        Status.REUSED: Style(fill="#1e293b", stroke="#4ade80", text="#dcfce7", muted="#86efac", dashed=True),
        Status.CANCELLED: Style(fill="#334155", stroke="#94a3b8", text="#e2e8f0", muted="#cbd5e1"),
        Status.UNREACHED: Style(
            fill="#0f172a", stroke="#64748b", text="#94a3b8", muted="#94a3b8", width=1, dashed=True
        ),
        Status.ADDED: Style(fill="#052e16", stroke="#4ade80", text="#dcfce7", muted="#86efac", width=3),
        Status.REMOVED: Style(fill="#450a0a", stroke="#fca5a5", text="#fee2e2", muted="#fecaca", dashed=True),
        Status.CHANGED: Style(fill="#451a03", stroke="#fbbf24", text="#fef3c7", muted="#fcd34d", width=3),
        Status.FIRST: Style(fill="#431407", stroke="#fdba74", text="#ffedd5", muted="#fed7aa", dashed=True),
        Status.SECOND: Style(fill="#172554", stroke="#60a5fa", text="#dbeafe", muted="#93c5fd", width=3),
        Status.PARTED: Style(fill="#6d28d9", stroke="#c4b5fd", text="#ffffff", muted="#ede9fe", width=3),
        Status.OTHER: Style(fill="#2e1065", stroke="#a78bfa", text="#ede9fe", muted="#ddd6fe"),
        Status.SAME: Style(fill="#1e293b", stroke="#94a3b8", text="#e2e8f0", muted="#cbd5e1", width=1),
    },
)

TAKEN_ON_BOTH: Final = "#22a55b"
"""The colour of a taken edge that has to show on a light and on a dark page."""

FAILED_ON_BOTH: Final = "#e5484d"
"""The colour of an error edge that has to show on both."""

COMPARED_ON_BOTH: Final[dict[Status, str]] = {
    Status.ADDED: TAKEN_ON_BOTH,
    Status.REMOVED: FAILED_ON_BOTH,
    Status.CHANGED: "#c2780c",
    Status.FIRST: "#dd6b20",
    Status.SECOND: "#3b82f6",
    Status.OTHER: "#8b5cf6",
    Status.SAME: "#7d8ba1",
    Status.UNREACHED: "#7d8ba1",
}
"""The colours of the edges of a comparison that have to show on both."""


def palette(theme: Theme) -> Palette:
    """Return the colours of a theme; "auto" has the light ones, for boxes carry their own fill."""
    return DARK if theme == "dark" else LIGHT
