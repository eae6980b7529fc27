"""The values and the pure functions that random graphs are made of; all are annotated, so that they can be stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from milepost.engine.typed import ReducerContext, StepContext

MODULUS = 97
MOST_FUEL = 8


@dataclass(frozen=True, slots=True)
class Token:
    """What flows between the parts of a graph. fuel: how many rounds of loops it may still take, 0 up to 7."""

    value: int
    fuel: int = 0


@dataclass(frozen=True, slots=True)
class Low:
    """A token of even value."""

    token: Token


@dataclass(frozen=True, slots=True)
class High:
    """A token of odd value."""

    token: Token


class Gate(Protocol):
    """Holds a body up before it does its work."""

    def __call__(self, node_id: str, inputs: object) -> Awaitable[None]: ...


@dataclass(slots=True)
class Recorder:
    """Where bodies report. hook: called at the start of every body. gate: awaited after it, when given."""

    hook: Callable[[str, object], None] | None = None
    gate: Gate | None = None


_recorder = Recorder()


@contextmanager
def recording(gate: Gate | None = None) -> Generator[list[tuple[str, str]]]:
    """Collect (node id, repr of inputs) of every body that starts, in order, in any task or thread."""
    calls: list[tuple[str, str]] = []
    before = _recorder.hook, _recorder.gate
    _recorder.hook, _recorder.gate = (lambda node_id, inputs: calls.append((node_id, repr(inputs)))), gate
    try:
        yield calls
    finally:
        _recorder.hook, _recorder.gate = before


async def enter(node_id: str, inputs: object) -> None:
    """Report the start of a body; wait if somebody asked for it."""
    if _recorder.hook is not None:
        _recorder.hook(node_id, inputs)
    if _recorder.gate is not None:
        await _recorder.gate(node_id, inputs)


def scramble(name: str, number: int) -> int:
    """Return a number from 0 to 96 that depends on both."""
    seed = crc32(name.encode())
    return (number * (seed % 89 + 2) + seed // 89) % MODULUS


def changed(name: str, token: Token) -> Token:
    return Token(scramble(name, token.value), token.fuel)


def to_number(token: Token) -> int:
    return token.value * MOST_FUEL + token.fuel


def from_number(number: int) -> Token:
    return Token(*divmod(number, MOST_FUEL))


def several(name: str, token: Token, count: int | None) -> list[Token]:
    """Return `count` tokens, or 0 up to 3 of them when that is left to the value."""
    size = scramble(f"{name} size", token.value) % 4 if count is None else count
    return [Token(scramble(f"{name} {index}", token.value), token.fuel) for index in range(size)]


# Transforms


def token_of_number(ctx: StepContext[None, None, int]) -> Token:
    return from_number(ctx.inputs)


def token_of_text(ctx: StepContext[None, None, str]) -> Token:
    return Token(sum(map(ord, ctx.inputs)) % MODULUS, 0)


def token_of_numbers(ctx: StepContext[None, None, list[int]]) -> Token:
    tokens = [from_number(number) for number in ctx.inputs]
    mixed = 0
    for token in tokens:
        mixed = (mixed * 31 + token.value) % MODULUS
    return Token(mixed, max((token.fuel for token in tokens), default=0))


def token_of_counts(ctx: StepContext[None, None, dict[str, int]]) -> Token:
    total = sum(int(value) * count for value, count in ctx.inputs.items())
    return Token(total % MODULUS, 0)


def token_of_side(ctx: StepContext[None, None, Low | High]) -> Token:
    return ctx.inputs.token


def token_of_label(ctx: StepContext[None, None, int | bool]) -> Token:
    return Token(int(ctx.inputs) + 10 * isinstance(ctx.inputs, bool))


def number_of_token(ctx: StepContext[None, None, Token]) -> int:
    return to_number(ctx.inputs)


# Reducers: the first three take items in any order, the others do not


def merge(current: Token, item: Token) -> Token:
    return Token((current.value + item.value) % MODULUS, max(current.fuel, item.fuel))


def insert_sorted(current: list[int], item: int) -> list[int]:
    current.append(item)
    current.sort()
    return current


def count(current: dict[str, int], item: Token) -> dict[str, int]:
    key = str(item.value)
    return dict(sorted({**current, key: current.get(key, 0) + 1}.items()))


def append(ctx: ReducerContext[None, None], current: list[int], item: int) -> list[int]:
    current.append(item)
    return current


def stop_at_two(ctx: ReducerContext[None, None], current: list[int], item: int) -> list[int]:
    if current:
        ctx.cancel_sibling_tasks()
    return [*current, item]
