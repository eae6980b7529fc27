"""A state that is written field by field is written, read back and refused exactly as when it is written as a whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NotRequired

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    computed_field,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as checked
from typing_extensions import TypedDict

from milepost.engine.codec import Codec
from milepost.engine.errors import NotStorable
from milepost.engine.fields import fields_of
from milepost.engine.fieldwise import Fieldwise, fieldwise


class Word(str):
    __slots__ = ()


class Colour(Enum):
    RED = "red"


class Line(BaseModel):
    text: str = ""
    marks: list[int] = []


@dataclass
class Ledger:
    count: int = 0
    rate: float = 0.5
    words: list[str] = field(default_factory=list[str])
    numbers: list[int] = field(default_factory=list[int])
    flags: list[bool] = field(default_factory=list[bool])
    shares: list[float] = field(default_factory=list[float])
    pair: tuple[int, str] = (1, "a")
    maybe: str | None = None
    lines: list[Line] = field(default_factory=list[Line])
    table: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    notes: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    names: set[str] = field(default_factory=set[str])
    colour: Colour = Colour.RED
    few: Annotated[list[int], Field(max_length=2)] = field(default_factory=list[int])


class Page(BaseModel):
    title: str = ""
    words: list[str] = []
    best: Line | None = None


class Sheet(TypedDict):
    title: str
    words: list[str]


def needed(codec: Codec, type_: object) -> Fieldwise:
    found = fieldwise(codec, type_)
    assert found is not None
    return found


def check(codec: Codec, states: Fieldwise, state: object, type_: object) -> object:
    """Hold what is written field by field against what is written as a whole; return what is read back, None for not.

    It may be left to who writes the whole, but never the other way round.
    """
    found = states.written(state)
    try:
        text, loaded = codec.encode(state, type_)
    except NotStorable:
        assert found is None
        return None
    if found is None:
        return None
    texts, read_back = found
    assert list(texts.items()) == list(fields_of(text).items())
    assert codec.is_same(loaded, read_back)
    assert codec.is_same(read_back, loaded)
    assert getattr(read_back, "__pydantic_fields_set__", None) == getattr(loaded, "__pydantic_fields_set__", None)
    return read_back


anything = st.sampled_from(
    [
        *(
            0,
            1,
            True,
            False,
            None,
            1.0,
            -0.0,
            0.0,
            float("nan"),
            float("inf"),
            2**70,
            10**5000,
            "",
            "a",
            'é"\\\n',
            "\ud800",
        ),
        *(Word("a"), b"a", (1, "a"), (True, "a"), Decimal("1.0"), Colour.RED, Line(text="x")),
    ]
)
Change = Callable[[Any], object]


def appended(name: str, item: object) -> Change:
    return lambda state: getattr(state, name).append(item)


def replaced(name: str, item: object) -> Change:
    return lambda state: getattr(state, name).__setitem__(slice(0, 1), [item])


def assigned(name: str, value: object) -> Change:
    return lambda state: setattr(state, name, value)


LISTS = ["words", "numbers", "flags", "shares", "lines", "few"]
OTHERS = ["count", "rate", "pair", "maybe", "colour", *LISTS]
CHANGES: dict[str, Change] = {
    "a list in a dict": lambda state: state.table.setdefault("a", []).append(len(state.table)),
    "an item of a model": lambda state: [line.marks.append(1) for line in state.lines],
    "a key": lambda state: state.notes.update({str(len(state.notes)): "a"}),
    "keys in another order": lambda state: state.notes.update({"0": state.notes.pop("0", None)}),
    "another value": lambda state: state.notes.update(dict.fromkeys(state.notes, "b")),
    "a key that is equal": lambda state: state.notes.update({Word("0"): state.notes.pop("0", None)}),
    "a value of another type": lambda state: state.notes.update({"0": Word("a")}),
    "a set": lambda state: state.names.add(str(state.count)),
    "a shorter list": lambda state: state.words.clear(),
    "a list turned round": lambda state: state.words.reverse(),
    "one list twice": lambda state: setattr(state, "few", state.numbers),
    "a tuple for a list": lambda state: setattr(state, "words", tuple(state.words)),
    "an equal list": lambda state: setattr(state, "words", list(state.words)),
    "something that is no field": lambda state: setattr(state, "other", 1),
    "a field that is gone": lambda state: delattr(state, "words"),
    "another order": lambda state: state.__dict__.update(count=state.__dict__.pop("count")),
}
changes = st.one_of(
    st.builds(appended, st.sampled_from(LISTS), anything),
    st.builds(replaced, st.sampled_from(LISTS), anything),
    st.builds(assigned, st.sampled_from(OTHERS), anything),
    st.builds(appended, st.just("words"), st.text(max_size=3)),
    st.builds(appended, st.just("numbers"), st.integers()),
    st.sampled_from(list(CHANGES.values())),
)


@given(st.lists(changes, max_size=12), st.booleans())
def test_whatever_is_done_to_a_state_it_is_written_as_the_whole_would_be(steps: list[Change], goes_on: bool) -> None:
    codec, state = Codec(), Ledger()
    states = needed(codec, Ledger)

    for step in steps:
        try:
            step(state)
        except (AttributeError, TypeError):  # of a step before this one
            state = Ledger()
            continue
        read_back = check(codec, states, state, Ledger)
        if goes_on or read_back is None:  # as when it was committed, or undone
            state = read_back if isinstance(read_back, Ledger) else Ledger()


@pytest.mark.parametrize(
    ("name", "item"),
    [
        *(
            ("numbers", True),
            ("numbers", 1.0),
            ("flags", 1),
            ("words", Word("a")),
            ("words", "\ud800"),
            ("words", None),
        ),
        *(("shares", 1), ("few", 3), ("lines", {"text": ""}), pytest.param("numbers", 10**5000, id="5,001 digits")),
    ],
)
def test_what_does_not_belong_into_a_list_is_found_when_it_is_added(name: str, item: object) -> None:
    codec, state = Codec(), Ledger(words=["a"], numbers=[1], flags=[True], shares=[0.5], few=[1, 2])
    states = needed(codec, Ledger)
    assert check(codec, states, state, Ledger) is not None

    getattr(state, name).append(item)

    with pytest.raises(NotStorable):
        codec.encode(state, Ledger)
    assert states.written(state) is None


@pytest.mark.parametrize(("name", "value"), [("numbers", True), ("words", Word("a")), ("flags", 1), ("shares", 0)])
def test_an_item_that_is_equal_but_of_another_type_has_changed(name: str, value: object) -> None:
    codec, state = Codec(), Ledger(words=["a"], numbers=[1], flags=[True], shares=[0.0])
    states = needed(codec, Ledger)
    assert check(codec, states, state, Ledger) is not None

    getattr(state, name)[0] = value

    assert states.written(state) is None


def test_the_sign_of_zero_and_what_is_no_number_are_changes_like_others() -> None:
    codec, state = Codec(), Ledger(rate=0.0, shares=[0.0, float("nan")])
    states = needed(codec, Ledger)
    assert check(codec, states, state, Ledger) is not None

    state.rate = state.shares[0] = -0.0
    state.shares.append(float("-inf"))

    read_back = check(codec, states, state, Ledger)
    assert isinstance(read_back, Ledger)
    assert repr(read_back.shares) == "[-0.0, nan, -inf]"
    assert repr(read_back.rate) == "-0.0"


def test_what_is_as_it_was_keeps_its_very_text_and_is_handed_out_anew() -> None:
    codec, state = Codec(), Ledger(words=["a", "b"])
    states = needed(codec, Ledger)
    first = states.written(state)
    assert first is not None

    state.count = 3
    second = states.written(state)

    assert second is not None
    assert [name for name in first[0] if first[0][name] is not second[0][name]] == [
        "count",
        "names",
        "colour",
    ]
    lists = [state.words, *(one.words for one in (first[1], second[1]) if isinstance(one, Ledger))]
    assert lists == [["a", "b"]] * 3
    assert len(set(map(id, lists))) == 3
    lists[1].append("c")
    assert states.written(state) == second


def test_a_dict_of_simple_values_is_left_alone_until_it_has_others_or_another_order() -> None:
    codec, state = Codec(), Ledger(notes={"a": "1", "b": None})
    states = needed(codec, Ledger)
    first = states.written(state)
    assert first is not None
    again = states.written(state)
    assert again is not None
    assert again[0]["notes"] is first[0]["notes"]
    for one in (first[1], again[1]):
        assert isinstance(one, Ledger)
        assert one.notes == state.notes
        assert one.notes is not state.notes

    state.notes["a"] = state.notes.pop("a")

    turned = check(codec, states, state, Ledger)
    assert isinstance(turned, Ledger)
    assert list(turned.notes) == ["b", "a"]
    state.notes["b"] = "2"
    changed = check(codec, states, state, Ledger)
    assert isinstance(changed, Ledger)
    assert changed.notes == {"b": "2", "a": "1"}


def test_a_list_in_two_fields_is_read_back_as_two_lists() -> None:
    codec, state = Codec(), Ledger(numbers=[1])
    state.few = state.numbers
    states = needed(codec, Ledger)
    assert check(codec, states, state, Ledger) is not None

    state.numbers.append(2)

    read_back = check(codec, states, state, Ledger)
    assert isinstance(read_back, Ledger)
    assert read_back.few == read_back.numbers == [1, 2]
    assert read_back.few is not read_back.numbers


def test_texts_that_are_committed_are_taken_for_equal_ones_alone() -> None:
    codec, state = Codec(), Ledger(words=["a"])
    states = needed(codec, Ledger)
    texts, _ = states.written(state) or ({}, None)
    committed = {"words": str(b'["a"]', "ascii"), "count": "7"}

    assert states.adopted(texts, committed) == texts

    again, _ = states.written(state) or ({}, None)
    assert again == texts
    assert again["words"] is committed["words"]


def test_models_and_typed_dicts_are_written_field_by_field_too() -> None:
    codec, page, sheet = Codec(), Page(title="a", words=["b"]), Sheet(title="a", words=["b"])
    pages, sheets = needed(codec, Page), needed(codec, Sheet)
    for _ in range(3):
        assert check(codec, pages, page, Page) is not None
        assert check(codec, sheets, sheet, Sheet) is not None
        page.words.append("c")
        page.best = Line(marks=[1])
        sheet["words"].append("c")
    assert check(codec, sheets, Sheet(words=[], title=""), Sheet) is None  # its text has another order


def test_a_model_that_holds_more_than_its_fields_is_left_to_the_whole() -> None:
    page, pages = Page(), needed(Codec(), Page)
    object.__setattr__(page, "__pydantic_private__", {"_seen": 1})

    assert pages.written(page) is None
    assert pages.written(Page()) is not None


class Longer(Page):
    more: int = 0


def test_a_state_of_a_class_made_from_the_declared_one_is_left_to_the_whole() -> None:
    assert needed(Codec(), Page).written(Longer()) is None


def test_how_deep_a_field_may_be_is_what_it_may_be_in_the_whole() -> None:
    codec, deepest = Codec(), 0
    for depth in range(180, 210):
        nested: Any = 1
        for _ in range(depth):
            nested = [nested]
        state = Loose(part=nested)
        try:
            codec.encode(state, Loose)
            deepest = depth
        except NotStorable:
            assert needed(codec, Loose).written(state) is None
    assert 180 < deepest < 209


@dataclass
class Loose:
    part: Any = None


# --- what depends on more than one field -----------------------------------------------------------------------------


class Looking(BaseModel):
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def in_order(self) -> Looking:
        if self.low > self.high:
            raise ValueError("they are not in order")
        return self


class LookingAside(BaseModel):
    low: int = 0
    high: int = 1

    @field_validator("high")
    @classmethod
    def above(cls, value: int) -> int:
        return value


class Adding(BaseModel):
    low: int = 0

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @property
    def twice(self) -> int:
        return 2 * self.low


class Hiding(BaseModel):
    low: int = 0
    _seen: int = PrivateAttr(default=0)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    low: int = 0


class Stripping(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)
    low: str = ""


class Excluding(BaseModel):
    low: int = Field(default=0, exclude=True)


class Renaming(BaseModel):
    low: int = Field(default=0, alias="lowest")


@dataclass(slots=True)
class Slotted:
    low: int = 0


@dataclass
class Working:
    low: int = 0
    high: int = field(init=False)

    def __post_init__(self) -> None:
        self.high = self.low + 1


@checked(config=ConfigDict(str_to_lower=True))
class Checked:
    low: str = ""


class Partial(TypedDict):
    low: NotRequired[int]


Odd = TypedDict("Odd", {"~": int, "low": int})


class Counting(dict[str, int]):
    pass


@dataclass
class Items(list[int]):
    low: int = 0


@pytest.mark.parametrize(
    "type_",
    [
        *(Looking, LookingAside, Adding, Hiding, Open, Stripping, Excluding, Renaming, Slotted, Working, Checked),
        *(Counting, Items, Odd, BaseModel, dict[str, int], list[int], int, object, Ledger | Page),
        Annotated[Page, AfterValidator(Page.model_copy)],
    ],
    ids=lambda type_: str(type_).partition(" at 0x")[0],
)
def test_a_type_that_says_more_than_what_its_fields_are_is_written_as_a_whole(type_: object) -> None:
    assert fieldwise(Codec(), type_) is None


def test_a_typed_dict_without_one_of_its_keys_is_left_to_the_whole() -> None:
    codec, states = Codec(), needed(Codec(), Partial)

    assert check(codec, states, Partial(), Partial) is None
    assert check(codec, states, Partial(low=1), Partial) is not None


def test_a_type_with_a_rule_of_its_own_is_written_as_a_whole() -> None:
    codec = Codec()
    codec.register_equal(Page, lambda page, loaded: page.title == loaded.title)

    assert fieldwise(codec, Page) is None
    assert fieldwise(codec, Ledger) is not None


@pytest.mark.parametrize("kind", [list, tuple, dict, str, float, bytes])
def test_a_rule_for_values_that_might_be_left_alone_has_all_states_written_as_wholes(kind: type[object]) -> None:
    codec = Codec()
    assert fieldwise(codec, Ledger) is not None

    codec.register_equal(kind, lambda value, loaded: True)

    assert fieldwise(codec, Ledger) is None


def test_a_type_that_cannot_be_stored_is_left_to_who_says_so() -> None:
    assert fieldwise(Codec(), threading.Lock) is None
