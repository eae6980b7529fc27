"""The text of a value is the same in every process, although the order of sets is not."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import dataclasses, datetime, enum
from typing import Any
from pydantic import BaseModel, model_serializer
from milepost.engine.codec import Codec

class Word(enum.Enum):
    A = "a"; B = "b"; C = "c"

@dataclasses.dataclass
class Inner:
    words: frozenset[Word]

class Own(BaseModel):
    tags: set[str]
    def __init__(self, **given):
        super().__init__(**given)

class Writes(BaseModel):
    tags: set[str]
    @model_serializer
    def write(self):
        return {"tags": self.tags}

class Outer(BaseModel):
    tags: set[str]
    inner: Inner
    mixed: set[int | str | float]
    sets: frozenset[frozenset[str]]
    own: Own
    writes: Writes
    by_key: dict[str, set[bytes]]
    open: set[Any]

words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
value = Outer(
    tags=set(words), inner=Inner(frozenset(Word)), mixed={1, 2.5, "x", *words},
    sets=frozenset({frozenset(words[:3]), frozenset(words[3:])}),
    own=Own(tags=set(words)), writes=Writes(tags=set(words)),
    by_key={"k": {word.encode() for word in words}}, open={None, 1, *words},
)
codec = Codec((set,))
print(codec.encode(value, Outer)[0])
print(codec.encode([set(words)], Any)[0])
print("".join(words) == "".join(set(words)), list(set(words)))
"""


def run(seed: int) -> list[str]:
    environment = {"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(filter(None, sys.path))}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()


def test_the_text_of_a_set_is_the_same_under_two_hash_seeds() -> None:
    first, second = run(1), run(2)
    assert first[:2] == second[:2]
    assert first[2] != second[2], "the seeds gave the same order, so nothing was tested"
    assert '"tags":["alpha","beta","delta","epsilon","gamma","zeta"]' in first[0]
    assert first[1] == '[{"$type":"set","value":["alpha","beta","delta","epsilon","gamma","zeta"]}]'
