"""Damage to the file of a store is harmless, or told by name: it never makes a wrong answer."""

from __future__ import annotations

import os
import random
from functools import partial
from pathlib import Path

import anyio
import pytest

from milepost.engine.errors import StoreError
from tests.properties.damage import Answers, answers, fill

FLIPS = 2_000 if os.environ.get("CI") else 400
CUTS = 100 if os.environ.get("CI") else 40
SEED = 20_261_121


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store, as the bytes of its file."""
    path = tmp_path_factory.mktemp("whole") / "runs.db"
    anyio.run(fill, path)
    assert [each.name for each in path.parent.iterdir()] == ["runs.db"]
    return path.read_bytes()


class Damaged:
    """A place for one damaged file after another."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "runs.db"

    def answers(self, content: bytes) -> Answers:
        """Return what a store says whose file is this."""
        for left in self.path.parent.glob("runs.db*"):
            left.unlink()
        self.path.write_bytes(content)
        return anyio.run(partial(answers, self.path))


def wrong(sound: Answers, given: Answers) -> list[str]:
    """Return the questions that were answered, and not as before. What verifying finds is no answer of that kind."""
    if "open" in given:
        assert isinstance(given["open"], StoreError)
        return []
    told = {name: answer for name, answer in given.items() if not isinstance(answer, StoreError)}
    assert given.keys() == sound.keys()
    return [name for name, answer in told.items() if name != "verified" and answer != sound[name]]


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_sound_store_gives_the_same_answers_again(whole: bytes, tmp_path: Path) -> None:
    damaged = Damaged(tmp_path)
    sound = damaged.answers(whole)
    assert damaged.answers(whole) == sound
    assert sound["verified"] == []
    assert (sound["result of done"], sound["result of stopped"]) == ("the sum is 5", "the sum is 85")


def test_a_flipped_bit_is_harmless_or_told(whole: bytes, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    damaged = Damaged(tmp_path)
    sound = damaged.answers(whole)
    told = 0
    for _ in range(FLIPS):
        bit = chance.randrange(8 * len(whole))
        given = damaged.answers(flipped(whole, bit))
        assert wrong(sound, given) == [], f"bit {bit}"
        told += any(isinstance(answer, StoreError) for answer in given.values())
    assert told > FLIPS // 20


def test_a_file_that_was_cut_off_is_told(whole: bytes, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    damaged = Damaged(tmp_path)
    sound = damaged.answers(whole)
    for length in (1, 99, 100, 511, 512, 4096, *(chance.randrange(1, len(whole)) for _ in range(CUTS))):
        given = damaged.answers(whole[:length])
        assert wrong(sound, given) == [], f"{length} bytes"
        assert any(isinstance(answer, StoreError) for answer in given.values()), f"{length} bytes"


def test_a_file_whose_pages_were_mixed_up_is_harmless_or_told(whole: bytes, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    damaged = Damaged(tmp_path)
    sound = damaged.answers(whole)
    pages = [whole[start : start + 4096] for start in range(0, len(whole), 4096)]
    for _ in range(CUTS):
        one, other = chance.sample(range(len(pages)), 2)
        mixed = list(pages)
        mixed[one], mixed[other] = pages[other], pages[one]
        assert wrong(sound, damaged.answers(b"".join(mixed))) == [], f"pages {one} and {other}"


def test_what_is_told_is_one_sentence_about_what_is_damaged(whole: bytes, tmp_path: Path) -> None:
    damaged = Damaged(tmp_path)
    texts: set[str] = set()
    for word, other in ((b'"kind":"completed"', b'"kind":"cOmpleted"'), (b"the sum is 5", b"the sum is 6")):
        at = whole.index(word)
        given = damaged.answers(whole[:at] + other + whole[at + len(word) :])
        texts |= {str(answer) for answer in given.values() if isinstance(answer, StoreError)}
        assert given["verified"] != []
    assert any("is damaged: its contents do not match its hash. Nothing was changed." in text for text in texts)
