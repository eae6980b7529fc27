"""The contract that the demo reviews."""

from __future__ import annotations

from pathlib import Path

import pytest

from milepost.cli.contracts import read_contract
from milepost.engine.errors import InputError


def test_the_licence_in_the_working_directory_is_taken_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "LICENSE").write_text("Do as you like.")
    assert read_contract(None) == ("LICENSE", "Do as you like.")


def test_a_file_that_is_named_is_taken(tmp_path: Path) -> None:
    (tmp_path / "lease.txt").write_text("Pay.")
    assert read_contract(str(tmp_path / "lease.txt")) == ("lease.txt", "Pay.")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe\x00", "is not text in UTF-8."),
        (b" \n--\n", "has no words to review."),
        (None, "cannot be read: No such file or directory."),
    ],
)
def test_a_file_that_is_no_contract_is_one_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "lease.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_contract(str(file))
    assert str(caught.value) == f"The contract {str(file)!r} {sentence}"
