"""Everything that the documents show is carried out: programs, commands with their output, links and make targets."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import milepost
from milepost.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<language>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)#]+)[^)]*\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a document. file: the name that its text is saved under, where it has one."""

    language: str
    file: str | None
    text: str

    def commands(self) -> Iterator[tuple[str, str]]:
        """Give each `$ command` of the block with the output that is shown under it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def blocks(document: Path) -> list[Block]:
    """Return the fenced blocks of a document, in order."""
    found = FENCE.finditer(document.read_text(encoding="utf-8"))
    return [Block(match["language"], match["file"], match["text"]) for match in found]


def carry_out(command: str, folder: Path) -> str:
    """Carry out one command as a reader would, in an activated virtual environment, and return what it printed."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": places, "COLUMNS": "120"}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def shows(shown: str, printed: str) -> bool:
    """Whether what is shown, in which `...` stands for anything, is what was printed."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_shows_what_really_happens(document: Path, tmp_path: Path) -> None:
    for block in blocks(document):
        if block.language == "python":
            name = block.file or "example.py"
            (tmp_path / name).write_text(block.text, encoding="utf-8")
            compile(block.text, name, "exec")
            if block.file is None:
                carry_out(f"python {name}", tmp_path)
        if block.language == "console":
            for command, output in block.commands():
                printed = carry_out(command, tmp_path)
                assert shows(output, printed), f"{command} printed\n{printed}\nand {document.name} shows\n{output}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_to_a_file(document: Path) -> None:
    targets = {match["target"].strip() for match in LINK.finditer(document.read_text(encoding="utf-8"))}
    inside = {target for target in targets if "://" not in target}
    assert [target for target in sorted(inside) if not (document.parent / target).exists()] == []


def test_the_make_commands_of_the_documents_exist() -> None:
    text = "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= named
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [target for target in sorted(named) if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_the_quickstart_is_short() -> None:
    (quickstart,) = [block for block in blocks(ROOT / "README.md") if block.file == "quickstart.py"]
    assert len([line for line in quickstart.text.splitlines() if line.strip()]) <= 25


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`milepost {name}" not in readme] == []


def modules() -> list[str]:
    """Return every module of the package but the one that runs the command line when it is imported."""
    found = pkgutil.walk_packages(milepost.__path__, "milepost.")
    return ["milepost", *(module.name for module in found if not module.name.endswith("__main__"))]


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_docstrings_hold(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
