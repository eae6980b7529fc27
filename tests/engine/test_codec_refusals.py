"""What would not come back as it went in is refused, with the path of the first difference."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import threading
import zoneinfo
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, Field, PrivateAttr, SecretStr, field_validator
from typing_extensions import TypedDict

from milepost.engine.codec import Codec
from milepost.engine.errors import NotStorable
from milepost.engine.unstorable import NotReadable


class Base(BaseModel):
    x: int


class Sub(Base):
    y: int = 0


class Left(BaseModel):
    x: int
    value: int = 0
    others: list[Base] = []


class Right(BaseModel):
    x: int


class Private(BaseModel):
    _secret: int = PrivateAttr(0)

    def with_secret(self, secret: int) -> Private:
        self._secret = secret
        return self


class Grows(BaseModel):
    x: int

    @field_validator("x")
    @classmethod
    def more(cls, x: int) -> int:
        return x + 1


class Fails(BaseModel):
    x: int

    @field_validator("x")
    @classmethod
    def never_seven(cls, x: int) -> int:
        if x == 7:
            raise RuntimeError("seven is not allowed")
        return x


class Excluded(BaseModel):
    a: int
    b: int = Field(default=0, exclude=True)


class ExcludedAndRequired(BaseModel):
    b: int = Field(exclude=True)


class Calls(BaseModel):
    call: Callable[[], int]


class AnyField(BaseModel):
    value: Any


class Level(enum.IntEnum):
    LOW = 1


class Pair(NamedTuple):
    a: int
    b: Any


class Typed(TypedDict):
    a: int


@dataclass
class Event:
    when: dt.datetime
    hidden: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.hidden = 0


@dataclass
class Log:
    items: list[Event]


class Opaque:
    pass


@dataclass
class Chain:
    links: list[Chain]


def chain(length: int) -> Chain:
    value = Chain([])
    for _ in range(length):
        value = Chain([value])
    return value


class Loop(BaseModel):
    """Needs one of itself, so that only a circle could be one."""

    again: Loop


def changed(value: BaseModel, /, **attributes: object) -> BaseModel:
    for name, attribute in attributes.items():
        object.__setattr__(value, name, attribute)
    return value


def hidden(value: int) -> Event:
    event = Event(dt.datetime(2024, 1, 1))
    event.hidden = value
    return event


def private(secret: int) -> Private:
    return Private().with_secret(secret)


def circle() -> list[Any]:
    value: list[Any] = [1]
    value.append({"self": value})
    return value


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


BERLIN = dt.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
MONTHS = [Event(dt.datetime(2024, month, 1)) for month in (1, 2, 3)]
NO_FIELD = "what is no field of the declared type, or is excluded, is not stored."
OPEN_TYPE = "Declare its exact type there, or, where the type is meant to stay open, register it with the workflow."

REFUSED: dict[str, tuple[object, object, str, str]] = {
    "subclass fields": (
        Sub(x=1),
        Base,
        "out",
        f"it is Sub(x=1, y=0), but would come back as Base(x=1). {OPEN_TYPE}",
    ),
    "a subclass in a union": (
        [Left(x=1), Sub(x=1)],
        list[Left | Base],
        "out[1]",
        "it is Sub(x=1, y=0), which is of none of the declared types 'Left', 'Base'.",
    ),
    "private attributes": (private(4), Private, "out._secret", "it is the int 4, but would come back as 0."),
    "a validator that is not idempotent": (Grows(x=1), Grows, "out.x", "it is the int 2, but would come back as 3."),
    "a validator that fails": (
        Fails.model_construct(x=7),
        Fails,
        "out",
        "reading it back fails with RuntimeError: seven is not allowed.",
    ),
    "an excluded field": (changed(Excluded(a=1), b=5), Excluded, "out.b", "it is the int 5, but would come back as 0."),
    "an excluded field that is required": (
        ExcludedAndRequired(b=1),
        ExcludedAndRequired,
        "out.b",
        "it is required to read the value back, and is not written, or no longer there.",
    ),
    "a model mutated out of range": (
        changed(Right(x=1), x="no"),
        Right,
        "out.x",
        (
            "it is the str 'no', which its declared type does not take: "
            "input should be a valid integer, unable to parse string as an integer."
        ),
    ),
    "a model mutated to what its type converts": (
        changed(Right(x=1), x="1"),
        Right,
        "out.x",
        f"it is the str '1', but would come back as the int 1. {OPEN_TYPE}",
    ),
    "an item that fits no list of a union": (
        [1.5],
        list[int] | list[str],
        "out[0]",
        (
            "it is the float 1.5, which its declared type does not take: "
            "input should be a valid integer, got a number with a fractional part."
        ),
    ),
    "a fault inside a member of a union": (
        [changed(Left(x=1), value="no")],
        list[Left | Right],
        "out[0].value",
        (
            "it is the str 'no', which its declared type does not take: "
            "input should be a valid integer, unable to parse string as an integer."
        ),
    ),
    "a dict in the place of a model": (
        {"a": [{"x": 1}]},
        dict[str, list[Base]],
        "out['a'][0]",
        f"it is the dict {{'x': 1}}, but would come back as Base(x=1). {OPEN_TYPE}",
    ),
    "an init=False field set anew": (
        hidden(3),
        Event,
        "out.hidden",
        "it is the int 3, but would come back as 0.",
    ),
    "a time zone with a name, deep inside": (
        {"log": Log([*MONTHS, Event(BERLIN)])},
        dict[str, Log],
        "out['log'].items[3].when",
        (
            "its time zone is zoneinfo.ZoneInfo(key='Europe/Berlin'), but would come back as TzInfo(3600). "
            "Give it a fixed offset first, e.g. with .astimezone(timezone.utc), "
            "and keep the name of the zone beside it."
        ),
    ),
    "the second of two equal times": (
        dt.datetime(2024, 10, 27, 2, 30, fold=1),
        dt.datetime,
        "out",
        (
            "it is datetime.datetime(2024, 10, 27, 2, 30, fold=1), but would come back as "
            "datetime.datetime(2024, 10, 27, 2, 30)."
        ),
    ),
    "a Decimal that is not a number": (
        Decimal("NaN"),
        Decimal,
        "out",
        "it is Decimal('NaN'), which its declared type does not take: input should be a finite number.",
    ),
    "NaN of undeclared type": (
        [float("nan")],
        Any,
        "out[0]",
        f"it is the float nan, but would come back as the str 'NaN'. {OPEN_TYPE}",
    ),
    "a model of undeclared type": (
        AnyField(value=[Base(x=1)]),
        AnyField,
        "out.value[0]",
        f"it is Base(x=1), but would come back as the dict {{'x': 1}}. {OPEN_TYPE}",
    ),
    "int keys of undeclared type": (
        {1: 2},
        Any,
        "out[1]",
        f"it is the int 2, but would not come back: {NO_FIELD}",
    ),
    "an object of undeclared type": (
        {"a": [Opaque]},
        Any,
        "out['a'][0]",
        (
            "the type <class 'tests.engine.test_codec_refusals.Opaque'> has no JSON form: "
            "Unable to serialize unknown type: <class 'type'>."
        ),
    ),
    "a tuple in the place of a list": (
        Pair(1, (1,)),
        Pair,
        "out.b",
        f"it is the tuple (1,), but would come back as the list [1]. {OPEN_TYPE}",
    ),
    "a tuple in the place of a Sequence": (
        (1,),
        Sequence[int],
        "out",
        f"it is the tuple (1,), but would come back as the list [1]. {OPEN_TYPE}",
    ),
    "a NamedTuple in the place of a tuple": (
        Pair(1, 2),
        tuple[int, int],
        "out",
        f"it is Pair(a=1, b=2), but would come back as the tuple (1, 2). {OPEN_TYPE}",
    ),
    "a key that a TypedDict does not have": (
        {"a": 1, "z": 3},
        Typed,
        "out['z']",
        f"it is the int 3, but would not come back: {NO_FIELD}",
    ),
    "True in the place of an int": (
        [1, True],
        list[int],
        "out[1]",
        f"it is the bool True, but would come back as the int 1. {OPEN_TYPE}",
    ),
    "an int in the place of a float": (
        1,
        float,
        "out",
        f"it is the int 1, but would come back as the float 1.0. {OPEN_TYPE}",
    ),
    "an IntEnum in the place of an int": (
        Level.LOW,
        int,
        "out",
        f"it is <Level.LOW: 1>, but would come back as the int 1. {OPEN_TYPE}",
    ),
    "a str that is not text": (
        "\ud800",
        str,
        "out",
        (
            "the str '\\ud800' has no JSON form: UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud800' "
            "in position 0: surrogates not allowed."
        ),
    ),
    "a str that is not text, deep inside": (
        {"a": ["x", "\ud800"]},
        dict[str, list[str]],
        "out['a'][1]",
        (
            "the str '\\ud800' has no JSON form: UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud800' "
            "in position 0: surrogates not allowed."
        ),
    ),
    "an int with more digits than JSON readers take": (
        10**5000,
        int,
        "out",
        "it is <int>, which its declared type does not take: invalid JSON: number out of range at line 1 column 4302.",
    ),
    "a secret": (
        SecretStr("x"),
        SecretStr,
        "out",
        "it is SecretStr('**********'), but would come back as SecretStr('**********').",
    ),
    "a list in the place of a set": (
        [1],
        set[int],
        "out",
        f"it is the list [1], but would come back as the set {{1}}. {OPEN_TYPE}",
    ),
    "a deque with a limit": (
        collections.deque([1], 3),
        collections.deque[int],
        "out",
        "its maxlen is 3, but would come back as None.",
    ),
    "a list that contains itself": (
        circle(),
        list[Any],
        "out[1]['self']",
        "it contains itself. Refer to it by a name or an index.",
    ),
    "a list nested 300 times": (
        deep(300),
        list[Any],
        "out",
        "it is nested too deeply. Keep it flat, e.g. as a list with references.",
    ),
    "a dataclass nested 250 times": (
        chain(250),
        Chain,
        "out",
        "it is nested too deeply. Keep it flat, e.g. as a list with references.",
    ),
    "a list nested 3000 times": (
        deep(3000),
        Any,
        "out",
        "it is nested too deeply. Keep it flat, e.g. as a list with references.",
    ),
    "a class that pydantic does not know": (
        threading.Event(),
        threading.Event,
        "out",
        (
            "its type Event is or holds a class that pydantic cannot write. "
            "Store what it is made from, a name or plain data, and make it in the node or take it from the deps."
        ),
    ),
}


@pytest.mark.parametrize(("value", "type_", "path", "reason"), list(REFUSED.values()), ids=list(REFUSED))
def test_a_value_that_would_not_come_back_is_refused(value: object, type_: object, path: str, reason: str) -> None:
    with pytest.raises(NotStorable) as caught:
        Codec().encode(value, type_, "out")
    assert (caught.value.path, caught.value.reason) == (path, reason)
    assert str(caught.value) == f"The value at {path} cannot be stored: {reason}"


def test_a_lambda_as_the_factory_of_a_defaultdict_is_refused() -> None:
    value: object = collections.defaultdict(lambda: [0], a=[1])
    with pytest.raises(
        NotStorable, match=r"^The value at out .*: its default_factory is <function .* Use a dict and its"
    ):
        Codec().encode(value, collections.defaultdict[str, list[int]], "out")


UNREADABLE: dict[str, tuple[str, object, str, str]] = {
    "no JSON": (
        '{"x":',
        Base,
        "in",
        "it is not JSON: EOF while parsing a value at line 1 column 5. The store was changed by something else.",
    ),
    "nested too deeply": (
        "[" * 300 + "]" * 300,
        Any,
        "in",
        "it is nested too deeply. Keep it flat, e.g. as a list with references.",
    ),
    "another type": (
        "5",
        Base,
        "in",
        "it is the int 5, which its declared type does not take: input should be an object.",
    ),
    "a field that was added": (
        '{"x":1,"others":[{"x":1},{}]}',
        Left,
        "in['others'][1].x",
        "it is required to read the value back, and is not written, or no longer there.",
    ),
    "a type that became a union": (
        '{"x":1}',
        Left | Right,
        "in",
        "it was stored without '$type', which says of which of the declared types it is.",
    ),
    "a member that was removed from a union": (
        '{"$type":"Old","value":{"x":1}}',
        Left | Right,
        "in",
        "it was stored as a 'Old', which is none of the declared types 'Left', 'Right'.",
    ),
    "a field of a member that was changed": (
        '{"$type":"Left","value":{"x":1,"value":"q"}}',
        Left | Right,
        "in['value']",
        (
            "it is the str 'q', which its declared type does not take: "
            "input should be a valid integer, unable to parse string as an integer."
        ),
    ),
    "a type that is no longer registered": (
        '[{"$type":"os.system","value":"ls"}]',
        list[Any],
        "in[0]",
        (
            "it is the dict {'$type': 'os.system', 'value': 'ls'}, which its declared type does not take: "
            "value error, no type named 'os.system' is registered with the workflow."
        ),
    ),
}


@pytest.mark.parametrize(("text", "type_", "path", "reason"), list(UNREADABLE.values()), ids=list(UNREADABLE))
def test_a_text_that_does_not_fit_is_refused(text: str, type_: object, path: str, reason: str) -> None:
    with pytest.raises(NotReadable) as caught:
        Codec().decode(text, type_, "in")
    assert str(caught.value) == f"The stored value at {path} cannot be read as its declared type: {reason}"
    assert (caught.value.path, caught.value.reason) == (path, reason)


WAY_OUT = "Store what it is made from, a name or plain data, and make it in the node or take it from the deps."

CHECKED: dict[str, tuple[object, str | None]] = {
    "a model": (Left, None),
    "a union": (Left | Right, None),
    "a callable": (Callable[[], int], f"The value at in cannot be stored: a callable has no JSON form. {WAY_OUT}"),
    "a required callable": (Calls, f"The value at in.call cannot be stored: a callable has no JSON form. {WAY_OUT}"),
    "a model that needs itself": (Loop, None),
    "a list that may be empty": (list[Calls], None),
    "an optional one": (Calls | None, None),
    "a fixed tuple": (
        tuple[int, Calls],
        f"The value at in[1].call cannot be stored: a callable has no JSON form. {WAY_OUT}",
    ),
    "a union that may take another member": (Calls | int, None),
    "a union of what cannot be stored": (
        type[int] | Calls,
        f"The value at in cannot be stored: a class has no JSON form. {WAY_OUT}",
    ),
    "an excluded field that is required": (
        ExcludedAndRequired,
        (
            "The value at in.b cannot be stored: the field is required, and is excluded from what is written. "
            "Give it a default or include it."
        ),
    ),
    "a class that pydantic does not know": (
        threading.Event,
        "The value at in cannot be stored: its type Event is or holds a class that pydantic cannot write. " + WAY_OUT,
    ),
    "a generic of pydantic does not know": (
        AsyncIterable[int],
        (
            "The value at in cannot be stored: its type collections.abc.AsyncIterable[int] is or holds a class that "
            "pydantic cannot write. " + WAY_OUT
        ),
    ),
    "a name that nothing bears": (
        "Nobody",
        (
            "The value at in cannot be stored: pydantic has no schema for its declared type 'Nobody': "
            "name 'Nobody' is not defined."
        ),
    ),
}


@pytest.mark.parametrize(("type_", "told"), list(CHECKED.values()), ids=list(CHECKED))
def test_whether_a_type_can_be_stored_at_all_is_known_without_a_value(type_: object, told: str | None) -> None:
    assert Codec().check(type_, "in") == told
