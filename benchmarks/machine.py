"""On what something was measured."""

from __future__ import annotations

import os
import platform
import sqlite3
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What the report says of the machine. load: how many processes wanted to run, in the minute before."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    sqlite: str
    load: float

    @property
    def was_busy(self) -> bool:
        """Whether others were at work on it, so that the numbers are more uneven than they need be."""
        return self.load > self.cores / 2


def _first_value(file: str, name: str) -> str | None:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)


def machine() -> Machine:
    """Look at the machine that this is."""
    processor = _first_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(
        processor=processor,
        cores=os.cpu_count() or 1,
        memory_gib=round(memory, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        load=round(os.getloadavg()[0], 1),
    )
