"""The section of the README that the measurement rewrites."""

from __future__ import annotations

import re

from benchmarks.aims import AIMS
from benchmarks.page import better
from benchmarks.report import Report, aims, heading, verdicts

BEGIN = "<!-- written by `make bench`; do not edit -->"
END = "<!-- end of what `make bench` writes -->"
PAGE = "[benchmarks/results/report.md](benchmarks/results/report.md)"
PICTURE = "![Time per step of every engine](benchmarks/results/steps.png)"
SECTION = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}\n", re.DOTALL)


class NoSection(Exception):
    """A text that should have the section that is rewritten has none, or several."""

    def __init__(self, found: int) -> None:
        super().__init__(f"The text has {found} sections between {BEGIN!r} and {END!r}; one is needed.")


def section(report: Report) -> str:
    """Return what is quoted: when and where, the aims that a reader asks for first, and what is not reached."""
    found, chosen = verdicts(report), [aim for aim in AIMS if aim.is_quoted]
    shown = {aim.text for aim in chosen}
    told = f"Of {sum(map(len, found.values()))} aims {len(found[True])} are reached"
    for verdict, words in ((False, "not reached"), (None, "not measured")):
        others = [text for text in found[verdict] if text not in shown]
        told += f"; {words} beside those above: {', '.join(others)}" if others else ""
    beaten = len({job for job, _, _ in better(report)})
    lines = [BEGIN, heading(report), "", *aims(report, chosen), ""]
    more = f"{PAGE} has all of them, every job, how everybody is configured, and where a peer is better"
    lines += [f"{told}. {more}: at something in {beaten} of {len(report.jobs)} jobs.", "", PICTURE, END]
    return "\n".join(lines) + "\n"


def quoted(text: str, report: Report) -> str:
    """Return a text with its section written anew.

    Raises NoSection: it does not have exactly one.
    """
    found = len(SECTION.findall(text))
    if found != 1:
        raise NoSection(found)
    return SECTION.sub(lambda _: section(report), text)
