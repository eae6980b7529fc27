"""The contract that the demo reviews."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from milepost.engine.errors import InputError


def read_contract(file: str | None) -> tuple[str, str]:
    """Return the name and the text of a contract: `file`, else the LICENSE here, else the one that is shipped with us.

    Raises InputError: the file cannot be read, is not text, or has no words.
    """
    if file is not None:
        return _read(Path(file))
    here = Path("LICENSE")
    if here.is_file():
        return _read(here)
    return "LICENSE", shipped_licence()


def shipped_licence() -> str:
    """Return the licence that is installed with this package."""
    try:
        shipped = distribution("milepost")
    except PackageNotFoundError:
        shipped = None
    for name in ("licenses/LICENSE", "LICENSE"):
        text = shipped.read_text(name) if shipped else None
        if text:
            return text
    raise InputError("There is no LICENSE here to review. Name a text file: milepost demo contract.txt")


def _read(path: Path) -> tuple[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"The contract {str(path)!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The contract {str(path)!r} is not text in UTF-8.") from error
    if not any(character.isalnum() for character in text):
        raise InputError(f"The contract {str(path)!r} has no words to review.")
    return path.name, text
