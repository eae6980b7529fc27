"""What a StateConflict says, and which changes go together: mergers on every kind of state, and the whole state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, NotRequired, Self

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    RootModel,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from typing_extensions import TypeAliasType, TypedDict

from milepost.engine.engine import Engine
from milepost.engine.errors import StateConflict
from milepost.engine.mergers import add, append, last, merger, union
from milepost.engine.stores.memory import Journals, MemoryStore
from milepost.engine.typed import StepContext, reduce_list_append
from milepost.workflows.builder import WorkflowBuilder
from tests.engine.side_by_side import Change, Order, run_side_by_side, side_by_side
from tests.engine.subjects import RUN

pytestmark = pytest.mark.anyio
ONE_TWO = Order(("one", "two"))
stored_and_not = pytest.mark.parametrize("store", ["memory:", None], ids=["stored", "in memory"])


async def conflict(state: Any, one: Change, two: Change, state_type: Any = None) -> StateConflict:
    """Run two changes side by side and return the conflict."""
    with pytest.raises(StateConflict) as raised:
        await run_side_by_side(
            state, {"one": silent(one), "two": silent(two)}, Order(("one", "two")), state_type=state_type
        )
    return raised.value


def silent(change: Change) -> Change:
    def changed(state: Any) -> int:
        change(state)
        return 0

    return changed


def setting(name: str, value: object) -> Change:
    return lambda state: object.__setattr__(state, name, value)


class Plain(BaseModel):
    title: str = "old"
    number: int = 1
    items: list[int] = []
    table: dict[str, int] = {}
    flag: bool = False


def put_item(state: Plain) -> None:
    state.items.append(1)


def put_key(state: Plain) -> None:
    state.table["a"] = 1


def put_into_list(state: list[int]) -> None:
    state.append(2)


def put_into_set(state: set[int]) -> None:
    state.add(2)


# --- what it says -----------------------------------------------------------------------------------------------------


async def test_a_conflict_tells_field_tasks_and_values() -> None:
    found = await conflict(Plain(), setting("title", "a"), setting("title", "b"))

    assert (found.field, found.task, found.other) == ("title", "two", "one")
    assert (found.base, found.committed, found.mine) == ('"old"', '"a"', '"b"')
    assert len(found.task_key) == len(found.other_key) == 32
    assert found.task_key != found.other_key
    assert (found.merger, found.detail) == ("", "")


@pytest.mark.parametrize(
    ("change", "field", "merger"),
    [
        (setting("title", "new"), "title", "last"),
        (setting("number", 2), "number", "add"),
        (put_item, "items", "append"),
        (put_key, "table", "union"),
        (setting("flag", True), "flag", "last"),
    ],
)
async def test_a_conflict_suggests_the_merger_that_fits(change: Change, field: str, merger: str) -> None:
    found = await conflict(Plain(), change, change)

    assert f"Give it a merger, e.g. {field}: Annotated[..., {merger}]" in str(found)


async def test_the_values_of_a_conflict_are_shortened_to_where_they_differ() -> None:
    found = await conflict(
        Plain(items=list(range(1000))), lambda state: state.items.append(-1), lambda state: state.items.append(-2)
    )

    assert (found.base, found.committed, found.mine) == (
        "…,995,996,997,998,999]",
        "…,995,996,997,998,999,-1]",
        "…,995,996,997,998,999,-2]",
    )


async def test_what_was_not_there_is_said_to_be_not_there() -> None:
    found = await conflict(
        {}, lambda state: state.update(a=1), lambda state: state.update(a=2), state_type=dict[str, int]
    )

    assert "both changed the field 'a' of the state. It was not there, 'one' made it 1, and 'two' would" in str(found)


async def test_a_change_and_a_removal_are_a_conflict() -> None:
    found = await conflict(
        {"a": 1}, lambda state: state.pop("a"), lambda state: state.update(a=2), state_type=dict[str, int]
    )

    assert "It was 1, 'one' made it not there, and 'two' would make it 2." in str(found)


@pytest.mark.parametrize(
    ("make", "state_type", "change"),
    [
        (lambda: [1], list[int], put_into_list),
        (lambda: {1}, set[int], put_into_set),
        (Plain, Plain | RootModel[int], setting("title", "new")),
    ],
    ids=["a list", "a set", "a union"],
)
async def test_a_state_without_fields_is_in_conflict_as_a_whole(
    make: Callable[[], Any], state_type: Any, change: Change
) -> None:
    found = await conflict(make(), change, change, state_type=state_type)

    assert found.field == ""
    assert "ran side by side and both changed the state. It was" in str(found)


async def test_two_tasks_of_one_node_are_told_apart_by_their_keys() -> None:
    wf = WorkflowBuilder(name="map", state_type=Plain, input_type=list[int], output_type=list[int])

    @wf.function
    async def write(ctx: StepContext[Plain, None, int]) -> int:
        ctx.state.number = ctx.inputs
        return ctx.inputs

    collect = wf.join(reduce_list_append, initial_factory=list[int], node_id="collect")
    wf.edge(wf.start_node, wf.each(write, join=collect))
    wf.edge(collect, wf.end_node)

    with pytest.raises(StateConflict) as raised:
        await wf.build().run(inputs=[7, 8], store="memory:")

    found = raised.value
    assert (found.task, found.other) == ("write", "write")
    assert str(found).startswith(
        f"Two tasks of node 'write' ({found.other_key[:8]} and {found.task_key[:8]}) ran side by side and both changed "
        f"the field 'number' of the state. It was 1, the first made it {found.committed}, and the second would make it "
    )


async def test_a_conflict_says_the_same_after_a_crash() -> None:
    journals = Journals()
    changes = {"one": silent(setting("title", "a")), "two": silent(setting("title", "b"))}
    workflow, texts = side_by_side(Plain, changes), list[str]()
    for pending in (("one", "two"), ("two",)):
        async with Engine(MemoryStore(journals)) as engine:
            run = await engine.start(workflow, state=Plain(), deps=Order(pending), run_id=RUN)
            with pytest.raises(StateConflict) as raised:
                await run.result()
            texts.append(str(raised.value))

    assert texts[0] == texts[1]
    assert "'one' made it \"a\", and 'two' would make it \"b\"" in texts[0]


async def test_a_run_that_failed_by_a_conflict_goes_on_once_there_is_a_merger() -> None:
    journals = Journals()

    @dataclass
    class Bare:
        lines: list[str] = field(default_factory=list[str])

    @dataclass
    class Merged:
        lines: Annotated[list[str], append] = field(default_factory=list[str])

    def saying(text: str) -> Change:
        return silent(lambda state: state.lines.append(text))

    changes = {"one": saying("a"), "two": saying("b")}
    async with Engine(MemoryStore(journals)) as engine:
        run = await engine.start(side_by_side(Bare, changes), state=Bare(), deps=Order(("one", "two")), run_id=RUN)
        with pytest.raises(StateConflict):
            await run.result()

    given = Merged()
    async with Engine(MemoryStore(journals)) as engine:
        await (await engine.resume(RUN, side_by_side(Merged, changes), state=given, deps=Order(("two",)))).result()

    assert given.lines == ["a", "b"]


# --- mergers on every kind of state -----------------------------------------------------------------------------------


class Model(BaseModel):
    model_config = ConfigDict(frozen=True)
    lines: Annotated[list[str], append] = []


class ChildModel(Model):
    other: int = 0


@dataclass(frozen=True, slots=True)
class Sealed:
    lines: Annotated[list[str], append] = field(default_factory=list[str])


@dataclass
class Parent:
    lines: Annotated[list[str], append] = field(default_factory=list[str])


@dataclass
class Child(Parent):
    other: int = 0


class Typed(TypedDict):
    lines: Annotated[list[str], append]


class Partial(TypedDict):
    lines: NotRequired[Annotated[list[str], append]]


class Lines(RootModel[Annotated[list[str], append]]): ...


class Maybe(BaseModel):
    lines: Annotated[list[str], append] | None = None


Alias = TypeAliasType("Alias", Annotated[list[str], append])


class Aliased(BaseModel):
    lines: Alias = []


def put_into_lines(state: Any, text: str) -> None:
    state.lines.append(text)


def put_into_dict(state: Any, text: str) -> None:
    state.setdefault("lines", []).append(text)


def put_into_none(state: Maybe, text: str) -> None:
    state.lines = [*(state.lines or []), text]


def local_model() -> type[BaseModel]:
    """Return a class whose hints name what only this function knows."""

    class Line(BaseModel):
        text: str

    class Local(BaseModel):
        first: Line | None = None
        lines: Annotated[list[str], append] = []

    return Local


MERGING: dict[str, tuple[Any, Any, Callable[[Any, str], None]]] = {
    "a frozen model": (Model, Model(), put_into_lines),
    "a child of a model": (ChildModel, ChildModel(), put_into_lines),
    "a local model": (local_model(), None, put_into_lines),
    "a field that may be none": (Maybe, Maybe(), put_into_none),
    "a named type": (Aliased, Aliased(), put_into_lines),
    "a model or none": (Model | None, Model(), put_into_lines),
    "a frozen dataclass": (Sealed, Sealed(), put_into_lines),
    "a child of a dataclass": (Child, Child(), put_into_lines),
    "a TypedDict": (Typed, {"lines": []}, put_into_dict),
    "a field that is not there": (Partial, {}, put_into_dict),
    "the values of a dict": (dict[str, Annotated[list[str], append]], {}, put_into_dict),
    "a root model": (Lines, Lines([]), lambda state, text: state.root.append(text)),
    "a list": (Annotated[list[str], append], list[str](), lambda state, text: state.append(text)),
}


@stored_and_not
@pytest.mark.parametrize("name", MERGING)
async def test_a_merger_can_be_declared_on_every_kind_of_state(name: str, store: str | None) -> None:
    state_type, state, put = MERGING[name]
    given = state_type() if state is None else Codecs.copy(state, state_type)
    expected = Codecs.copy(given, state_type)
    put(expected, "a")
    put(expected, "b")

    changes = {"one": silent(lambda state: put(state, "a")), "two": silent(lambda state: put(state, "b"))}
    await run_side_by_side(given, changes, Order(("one", "two")), state_type=state_type, store=store)

    assert given == expected


class Codecs:
    """Copies states, so that the examples above can be used again."""

    @staticmethod
    def copy(state: Any, state_type: Any) -> Any:
        from milepost.engine.codec import Codec

        return Codec().encode(state, state_type)[1]


async def test_several_fields_are_merged_at_once() -> None:
    class Several(BaseModel):
        lines: Annotated[list[str], append] = []
        total: Annotated[Decimal, add] = Decimal("0.0")
        words: Annotated[Counter[str], union] = Counter()
        one: int = 0
        two: int = 0

        @model_validator(mode="after")
        def fits(self) -> Self:
            assert len(self.lines) == self.total * 10, "one line for each tenth"
            return self

    def change(name: str) -> Change:
        def changed(state: Several) -> None:
            state.lines.append(name)
            state.total += Decimal("0.1")
            state.words[name] = 1
            setattr(state, name, 1)

        return silent(changed)

    given = Several()
    await run_side_by_side(given, {"one": change("one"), "two": change("two")}, Order(("two", "one")))

    assert given == Several(lines=["two", "one"], total=Decimal("0.2"), words=Counter(one=1, two=1), one=1, two=1)


@stored_and_not
async def test_a_field_is_merged_while_another_goes(store: str | None) -> None:
    def put(state: dict[str, list[str]]) -> int:
        state["a"].append("one")
        return 1

    def put_and_remove(state: dict[str, list[str]]) -> int:
        state["a"].append("two")
        del state["b"]
        return 2

    given = {"a": list[str](), "b": ["x"], "c": list[str]()}
    await run_side_by_side(
        given,
        {"one": put, "two": put_and_remove},
        Order(("one", "two")),
        state_type=dict[str, Annotated[list[str], append]],
        store=store,
    )

    assert given == {"a": ["one", "two"], "c": []}


async def test_what_a_class_writes_of_itself_needs_no_merger() -> None:
    class Summed(BaseModel):
        lines: Annotated[list[str], append] = []
        number: int = 0

        @model_serializer(mode="wrap")
        def with_double(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
            return {**write(self), "double": self.number * 2}

    def put(state: Summed) -> int:
        state.lines.append("one")
        return 1

    def put_and_count(state: Summed) -> int:
        state.lines.append("two")
        state.number += 1
        return 2

    given = Summed()
    await run_side_by_side(given, {"one": put, "two": put_and_count}, Order(("one", "two")))

    assert given == Summed(lines=["one", "two"], number=1)


# --- what does not go together ----------------------------------------------------------------------------------------


@merger
def refusing(base: Any, committed: Any, mine: Any) -> Any:
    """Refuse."""
    raise ValueError("these two will never agree")


@merger
def texting(base: Any, committed: Any, mine: Any) -> Any:
    """Return what is no number."""
    return "seven"


class Faulty(BaseModel):
    refused: Annotated[int, refusing] = 0
    wrong: Annotated[int, texting] = 0


async def test_a_merger_that_fails_is_named_with_the_reason() -> None:
    found = await conflict(Faulty(), setting("refused", 1), setting("refused", 2))

    assert found.merger == "refusing"
    assert isinstance(found.__cause__, ValueError)
    assert str(found).endswith(
        "It was 0, 'one' made it 1, and 'two' would make it 2. Its merger 'refusing' cannot put the two together: "
        "ValueError: these two will never agree."
    )


async def test_what_a_merger_makes_has_to_fit_the_field() -> None:
    found = await conflict(Faulty(), setting("wrong", 1), setting("wrong", 2))

    assert found.merger == "texting"
    assert (
        "Its merger 'texting' cannot put the two together: what it made cannot be stored, as it is the str 'seven'"
        in (str(found))
    )


async def test_of_several_merged_fields_the_one_at_fault_is_named() -> None:
    class Half(BaseModel):
        right: Annotated[int, add] = 0
        wrong: Annotated[int, texting] = 0

    def change(state: Half) -> None:
        state.right += 1
        state.wrong += 1

    found = await conflict(Half(), change, change)

    assert (found.field, found.merger) == ("wrong", "texting")


async def test_a_removed_field_is_not_merged() -> None:
    found = await conflict(
        {"a": [1]},
        lambda state: state.pop("a"),
        lambda state: state["a"].append(2),
        state_type=dict[str, Annotated[list[int], append]],
    )

    assert (found.field, found.merger) == ("a", "")
    assert (found.base, found.committed, found.mine) == ("[1]", "not there", "[1,2]")
    assert "One of them has removed the field 'a', and the other changed it. Let one of them make both" in str(found)


async def test_changes_of_two_fields_that_the_state_does_not_take_together_are_a_conflict() -> None:
    class Limits(BaseModel):
        low: int = 0
        high: int = 10

        @model_validator(mode="after")
        def fits(self) -> Self:
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    given = Limits()
    found = await conflict(given, setting("high", 4), setting("low", 6))

    assert (found.field, found.task, found.other) == ("low", "two", "one")
    assert str(found) == (
        "Tasks 'two' and 'one' ran side by side and changed the state in ways that do not go together. At state, it is "
        "the dict {'high': 4, 'low': 6}, which its declared type does not take: value error, low is above high. "
        "Let one of them make both changes, or have one run after the other."
    )
    assert given == Limits(high=4)


async def test_changes_that_would_be_read_back_as_something_else_are_a_conflict() -> None:
    class Sorted(BaseModel):
        low: int = 1
        high: int = 5

        @model_validator(mode="after")
        def sort(self) -> Self:
            if self.low > self.high:
                self.low, self.high = self.high, self.low
            return self

    found = await conflict(Sorted(), setting("high", 2), setting("low", 4))

    assert "What they left would be read back as something else" in str(found)


async def test_merged_fields_that_the_state_does_not_take_together_are_a_conflict() -> None:
    class Few(BaseModel):
        lines: Annotated[list[str], append] = []
        flag: Annotated[bool, last] = False

        @field_validator("lines")
        @classmethod
        def few(cls, lines: list[str]) -> list[str]:
            assert len(lines) < 2, "one line is enough"
            return lines

    def put(state: Any) -> None:
        state.lines.append("x")

    found = await conflict(Few(), put, put)

    assert found.merger == "append"
    assert "one line is enough" in str(found)
