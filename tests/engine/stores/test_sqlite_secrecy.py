"""Nobody but its owner reads the files of a store, and nothing that is given becomes a part of a statement."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from milepost.engine import stores
from milepost.engine.stores.sqlite import SqliteStore
from milepost.testing.contract.place import opened
from milepost.testing.contract.writing import append, begin, entry

pytestmark = pytest.mark.anyio

MODULES = sorted(Path(str(stores.__file__)).parent.glob("*.py"))


@contextmanager
def umask(mask: int) -> Generator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277, 0o777])
@pytest.mark.parametrize("durability", ["power", "process"])
async def test_only_its_owner_may_read_the_files_of_a_new_store(tmp_path: Path, mask: int, durability: str) -> None:
    with umask(mask):
        async with opened(SqliteStore(tmp_path / "runs.db", durability=durability)) as store:  # type: ignore[arg-type]
            await begin(store)
            await append(store, entry("run", 2))
            assert modes(tmp_path) == [0o600] * 4  # the file, its two logs, and the lock of its owner


def modes(folder: Path) -> list[int]:
    return [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()]


def parts(module: Path) -> Iterator[tuple[int, str]]:
    """Give what is put into the text of a statement where it is carried out: (line, name or expression)."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
        if isinstance(node, ast.Call) and name in {"execute", "executemany", "executescript", "_read"}:
            for part in (inner for word in node.args[:1] for inner in ast.walk(word)):
                if isinstance(part, ast.FormattedValue):
                    yield part.lineno, ast.unparse(part.value)
                assert not (isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod)), (module, node.lineno)


OURS = {"_SYNCHRONOUS[durability]", "order", "term", "name", "how", "terms.where()"} | {
    "{seconds * 1000:.0f}",
    "seconds * 1000",
}
"""What is put into statements besides constants: words of ours, and numbers."""


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_statements_are_made_of_constants_alone(module: Path) -> None:
    strange = [(line, part) for line, part in parts(module) if not part.isupper() and part not in OURS]
    assert strange == []
