"""The bodies of the steps of random graphs: made from the id of the step, pure, and reported to the recorder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from milepost.engine.failure import Failure
from milepost.engine.typed import ReduceFirstValue, StepContext
from tests.properties import values
from tests.properties.values import Token

Body = Callable[..., Awaitable[object]]
Items = Callable[..., AsyncIterator[object]]
Change = Callable[..., object]


def token_step(name: str) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> Token:
        await values.enter(name, ctx.inputs)
        return values.changed(name, ctx.inputs)

    return call


def round_step(name: str) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> Token:
        await values.enter(name, ctx.inputs)
        return Token(values.scramble(name, ctx.inputs.value), max(0, ctx.inputs.fuel - 1))

    return call


def fault_step(name: str) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> Token:
        await values.enter(name, ctx.inputs)
        if ctx.inputs.value % 5 == 0:
            raise ValueError(f"{name} does not take {ctx.inputs.value}")
        return ctx.inputs

    return call


def repair_step(name: str) -> Body:
    async def call(ctx: StepContext[None, None, Failure[Token]]) -> Token:
        await values.enter(name, ctx.inputs.inputs)
        return Token(values.scramble(name, ctx.inputs.inputs.value), ctx.inputs.inputs.fuel)

    return call


def to_number(name: str) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> int:
        await values.enter(name, ctx.inputs)
        return values.to_number(ctx.inputs)

    return call


def from_number(name: str) -> Body:
    async def call(ctx: StepContext[None, None, int]) -> Token:
        await values.enter(name, ctx.inputs)
        return values.from_number(ctx.inputs)

    return call


def to_text(name: str) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> str:
        await values.enter(name, ctx.inputs)
        return f"{ctx.inputs.value}:{ctx.inputs.fuel}"

    return call


def from_text(name: str) -> Body:
    async def call(ctx: StepContext[None, None, str]) -> Token:
        await values.enter(name, ctx.inputs)
        return Token(*map(int, ctx.inputs.split(":")))

    return call


def to_items(name: str) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> list[int]:
        await values.enter(name, ctx.inputs)
        return [ctx.inputs.value, ctx.inputs.fuel]

    return call


def from_items(name: str) -> Body:
    async def call(ctx: StepContext[None, None, list[int]]) -> Token:
        await values.enter(name, ctx.inputs)
        return Token(*ctx.inputs)

    return call


def side_step(name: str) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> values.Low | values.High:
        await values.enter(name, ctx.inputs)
        return values.High(ctx.inputs) if ctx.inputs.value % 2 else values.Low(ctx.inputs)

    return call


def label_step(name: str) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> int | bool:
        await values.enter(name, ctx.inputs)
        labels: list[int | bool] = [True, 1, False, 0]
        return labels[ctx.inputs.value % 4]

    return call


def token_list(name: str, count: int | None) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> list[Token]:
        await values.enter(name, ctx.inputs)
        return values.several(name, ctx.inputs, count)

    return call


def number_list(name: str, count: int | None) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> list[int]:
        await values.enter(name, ctx.inputs)
        return [values.to_number(token) for token in values.several(name, ctx.inputs, count)]

    return call


def letters(name: str, count: int | None) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> str:
        await values.enter(name, ctx.inputs)
        return "".join(chr(97 + token.value % 26) for token in values.several(name, ctx.inputs, count))

    return call


def word_counts(name: str, count: int | None) -> Body:
    async def call(ctx: StepContext[None, None, Token]) -> dict[str, int]:
        await values.enter(name, ctx.inputs)
        return {f"{index} {token.value}": index for index, token in enumerate(values.several(name, ctx.inputs, count))}

    return call


def token_stream(name: str, count: int | None) -> Items:
    async def call(ctx: StepContext[None, None, Token]) -> AsyncIterator[Token]:
        await values.enter(f"{name}_items", ctx.inputs)
        for token in values.several(name, ctx.inputs, count):
            yield token

    return call


def path_list(name: str, count: int | None) -> Change:
    def call(ctx: StepContext[None, None, Token]) -> list[Token]:
        return values.several(name, ctx.inputs, count)

    return call


def path_lists(name: str, count: int | None) -> Change:
    def call(ctx: StepContext[None, None, Token]) -> list[list[Token]]:
        rows = values.several(name, ctx.inputs, count)
        return [values.several(f"{name} {index}", row, None if index else count) for index, row in enumerate(rows)]

    return call


def divides(number: int) -> Callable[[Token], bool]:
    return lambda token: token.value % number == 0


LEAVING: dict[str, Callable[[str], Body]] = {"number": to_number, "text": to_text, "items": to_items}
MEETING: dict[str, Callable[[str], Body]] = {"number": from_number, "text": from_text, "items": from_items}
SPLITTING: dict[str, Callable[[str, int | None], Body]] = {
    "list": token_list,
    "numbers": number_list,
    "text": letters,
    "mapping": word_counts,
}
SPLITTING_ON_PATH: dict[str, Callable[[str, int | None], Change]] = {"path": path_list, "nested": path_lists}
READING: dict[str, Change] = {
    "numbers": values.token_of_number,
    "text": values.token_of_text,
    "mapping": values.token_of_text,
}
SHARED: list[int] = []  # what join(initial=[]) does: one list for every run of the process
REDUCERS: dict[str, tuple[Change, Callable[[], object]]] = {
    "merge": (values.merge, lambda: Token(0)),
    "sorted": (values.insert_sorted, list[int]),
    "count": (values.count, dict[str, int]),
    "append": (values.append, lambda: SHARED),
    "first": (ReduceFirstValue[Token](), lambda: Token(0)),
    "two": (values.stop_at_two, list[int]),
}
ENTERING: dict[str, Change] = dict.fromkeys(("sorted", "append", "two"), values.number_of_token)
RESULTING: dict[str, Change] = {
    **dict.fromkeys(("sorted", "append", "two"), values.token_of_numbers),
    "count": values.token_of_counts,
}
