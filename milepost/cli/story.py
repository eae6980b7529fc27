"""How the demo tells what it does, calmly, step by step."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from milepost.cli.pictures import show_trace

if TYPE_CHECKING:
    from milepost.cli.rehearsal import Process, Rehearsal
    from milepost.engine.trace import Trace
    from milepost.workflows.contract_review.clauses import Clause

INDENT: Final = 3


@dataclass(frozen=True, slots=True)
class Payment:
    """What a clause cost. saved: its answer was in the store when the first process died. first, second: who asked."""

    clause: Clause
    saved: bool
    first: bool
    second: bool

    @property
    def is_twice(self) -> bool:
        """Whether both processes asked."""
        return self.first and self.second


def payments(rehearsal: Rehearsal, saved: frozenset[int], first: Process, second: Process) -> Sequence[Payment]:
    """Return what the first look at every clause cost."""
    asked = [{call.clause for call in process.calls if call.look == 1} for process in (first, second)]
    return [
        Payment(clause, clause.number in saved, clause.number in asked[0], clause.number in asked[1])
        for clause in rehearsal.clauses
    ]


class Story:
    """Tells the demo on a screen."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._steps = 0

    def introduce(self, rehearsal: Rehearsal) -> None:
        """Say what is about to happen."""
        count = len(rehearsal.clauses)
        clauses = "1 clause" if count == 1 else f"{count} clauses"
        reader = rehearsal.model or "a scripted model that needs no key"
        self._screen.rule("[bold]Milepost demo[/]", style="dim", align="left")
        self._say(f"{rehearsal.title} has {clauses}. Each one goes to {reader}; what is risky gets a second look.")
        self._say("Half way the process is killed with SIGKILL. Nothing that was answered is paid for again.")

    def step(self, heading: str, command: Sequence[str] = ()) -> None:
        """Begin the next part. command: what is called in it."""
        self._steps += 1
        self._screen.print()
        self._screen.print(Text.assemble((f"{self._steps}  ", "dim"), (heading, "bold")))
        if command:
            self._say(f"$ {shlex.join(command)}", style="dim")

    def busy(self, doing: str) -> AbstractContextManager[object]:
        """Show that something goes on, on a terminal."""
        return self._screen.status(f"{doing} …", spinner="dots") if self._screen.is_terminal else nullcontext()

    def died(self, process: Process) -> None:
        """Say how the first process ended."""
        self._say(
            f"✗ Process {process.id} was killed with SIGKILL after {process.seconds:.1f} s, "
            f"in the middle of call {len(process.calls)}.",
            style="red",
        )

    def finished(self, process: Process) -> None:
        """Say how the second process ended."""
        self._say(f"✓ Process {process.id} finished the run in {process.seconds:.1f} s.", style="green")

    def tell_payments(self, paid: Sequence[Payment]) -> None:
        """Show which clauses were paid for by which process."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("CLAUSE", max_width=46, no_wrap=True, overflow="ellipsis")
        table.add_column("FIRST PROCESS", min_width=22)
        table.add_column("SECOND PROCESS")
        for payment in paid:
            label = f"{payment.clause.label or payment.clause.number}. {payment.clause.heading}"
            table.add_row(Text(label), _first(payment), _second(payment))
        kept = sum(payment.saved and not payment.second for payment in paid)
        again = sum(payment.is_twice for payment in paid)
        self._show(table)
        self._say(f"{_clauses(kept)} already answered and not paid for twice.", style="bold")
        if again:
            self._say(f"{_clauses(again)} in the air when the process died: not saved, so asked again.")

    def tell_trace(self, trace: Trace) -> None:
        """Show what the run did."""
        show_trace(self._screen, trace, indent=INDENT)

    def tell_files(self, files: Mapping[str, str], missing: str | None) -> None:
        """List what was left. missing: why one of the files is not there."""
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, what in files.items():
            table.add_row(Text(name, style="bold"), Text(what))
        self._show(table)
        if missing:
            self._say(missing, style="yellow")

    def _say(self, sentence: str, style: str = "") -> None:
        self._show(Text(sentence, style=style))

    def _show(self, thing: Text | Table | Group) -> None:
        self._screen.print(Padding(thing, (0, 0, 0, INDENT), expand=False))


def _clauses(count: int) -> str:
    return "1 clause was" if count == 1 else f"{count} clauses were"


def _first(payment: Payment) -> Text:
    if payment.saved:
        return Text("✓ asked, answer saved", style="green")
    return Text("✗ asked, answer lost", style="red") if payment.first else Text("○ not reached", style="dim")


def _second(payment: Payment) -> Text:
    if payment.second:
        return Text("✓ asked again" if payment.first else "✓ asked", style="yellow" if payment.first else "green")
    return Text("↺ not asked, answer reused", style="dim")
