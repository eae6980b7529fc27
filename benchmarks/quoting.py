"""The section of the README that the measurement rewrites."""

from __future__ import annotations

import re

from benchmarks.report import Report, aims, better, heading

BEGIN = "<!-- written by `make bench`; do not edit -->"
END = "<!-- end of what `make bench` writes -->"
PAGE = "[benchmarks/results/report.md](benchmarks/results/report.md)"
SECTION = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}\n", re.DOTALL)


class NoSection(Exception):
    """A text that should have the section that is rewritten has none, or several."""

    def __init__(self, found: int) -> None:
        super().__init__(f"The text has {found} sections between {BEGIN!r} and {END!r}; one is needed.")


def section(report: Report) -> str:
    """Return what is quoted: when and where, the aims, and how often a peer was better."""
    beaten = len(list(better(report)))
    lines = [
        BEGIN,
        heading(report),
        "",
        *aims(report),
        "",
        "![Time per step of every engine](benchmarks/results/steps.png)",
        "",
        f"{PAGE} has every job, says how everybody is configured, and where a peer is better: {beaten} times.",
        END,
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str, report: Report) -> str:
    """Return a text with its section written anew.

    Raises NoSection: it does not have exactly one.
    """
    found = len(SECTION.findall(text))
    if found != 1:
        raise NoSection(found)
    return SECTION.sub(lambda _: section(report), text)
