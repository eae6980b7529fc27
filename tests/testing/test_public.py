"""`milepost.testing` exports exactly the names that are listed; each is in its document, and none needs pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import milepost.testing

PUBLIC = ["CrashFound", "CrashReport", "Effect", "Effects", "FakeClock", "Life", "crash_everywhere"]
ROOT = Path(__file__).parents[2]


def test_the_public_names_are_these() -> None:
    given = {name for name, value in vars(milepost.testing).items() if getattr(value, "__module__", "") != ""}
    modules = {name for name in given if isinstance(getattr(milepost.testing, name), type(sys))}
    assert sorted(name for name in given - modules if not name.startswith("_")) == PUBLIC


def test_the_document_tells_of_every_name() -> None:
    text = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    assert [name for name in PUBLIC if name not in text] == []


def test_it_can_be_used_without_pytest() -> None:
    code = "import sys, milepost.testing; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
