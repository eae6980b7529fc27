"""Values to JSON text and back, by declared type, exactly: what would not come back as it went in is refused.

Every value is read back when it is written, and what was read is what the run goes on with. So a run that was resumed
sees what the live run saw, and nothing is lost that somebody only notices after a crash.
"""

from __future__ import annotations

import collections
import collections.abc
from collections.abc import Callable, Mapping
from json import JSONDecoder
from json.encoder import encode_basestring
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NamedTuple, NewType, TypeVar, Union, cast, get_args, get_origin

from milepost.engine.comparisons import Difference
from milepost.engine.equality import Equality
from milepost.engine.errors import NotStorable
from milepost.engine.separate import field_schemas, grows_by, separate_fields
from milepost.engine.storability import WAY_OUT, obstacle
from milepost.engine.stored_schema import StoredSchema, Tools
from milepost.engine.undeclared import Registered
from milepost.engine.union import TAG, VALUE, Schema
from milepost.engine.unstorable import TOO_DEEP, NotReadable, not_writable, reading_failed

T = TypeVar("T")

CONTAINERS: Final = frozenset({
    list, set, frozenset, collections.deque, collections.abc.Sequence, collections.abc.MutableSequence,
    collections.abc.Set, collections.abc.MutableSet, collections.abc.Collection, collections.abc.Iterable,
})  # fmt: skip
"""Types that are stored as an array of items of one type."""


ATOMS: Final = (str, int, float, bool, NoneType, bytes)
"""Types of values in which nothing can change."""


def _text_of_str(value: Any) -> str | None:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return None
    return encode_basestring(value)


WRITERS: Final[Mapping[object, Callable[[Any], str | None]]] = {
    str: _text_of_str,
    int: lambda value: int.__repr__(value) if value.bit_length() < 10_000 else None,
    float: lambda value: float.__repr__(value) if isfinite(value) else None,
    bool: lambda value: "true" if value else "false",
    NoneType: lambda value: "null",
}
"""How atoms are written without pydantic; None where it has to look at one."""


class Coder:
    """Writes and reads the values of one type."""

    __slots__ = ("_read", "_write", "schema", "stored")

    def __init__(self, schema: Schema, stored: StoredSchema, tools: Tools | None = None) -> None:
        self.schema = schema
        self.stored = stored
        serializer, validator = tools or stored.tools()
        self._write = serializer.to_json
        self._read = validator.validate_json

    def write(self, value: object) -> bytes:
        return self._write(value, round_trip=True, by_alias=False, warnings=False)

    def read(self, text: str | bytes) -> object:
        return self._read(text, by_alias=False, by_name=True)


class Parts(NamedTuple):
    """The fields of a state that can be written and read each by itself.

    kind: its class, dict for a TypedDict. coders: by name; they write a field, and read a list of one. growing: the
    type of the items of fields that are lists of simple values.
    """

    kind: type
    coders: Mapping[str, Coder]
    growing: Mapping[str, type]


class Codec:
    """Writes and reads the values of one workflow. Keeps a coder for each type, made when the type is first met.

    registered: the types whose values may stand where no type is declared.

    >>> Codec().encode([1, 2], list[int])
    ('[1,2]', [1, 2])
    >>> Codec().encode({3, 1, 2}, set[int])
    ('[1,2,3]', {1, 2, 3})
    """

    def __init__(self, registered: tuple[type, ...] = ()) -> None:
        self._registered = Registered(registered, self._tree, self._untree)
        self._equality = Equality()
        self._coders: dict[object, Coder] = {}
        self._unhashable: dict[int, tuple[object, Coder]] = {}
        self._parts: dict[Coder, Parts | None] = {}

    def register_equal(self, kind: type[T], same: Callable[[T, Any], bool], loaded: type | None = None) -> None:
        """Let `same(value, loaded)` decide whether a value of exactly `kind` came back as it was.

        loaded: the exact type that comes back, `kind` if it is not given. Other pairs of types are never equal.
        """
        self._equality.register(kind, same, loaded)

    def encode(self, value: object, type_: object, path: str = "value") -> tuple[str, object]:
        """Write a value by its declared type.

        Returns its JSON text, and what was read back: equal, of the same types, sharing nothing that can change.
        Raises NotStorable with the path of the first part that would not come back as it is.
        """
        kind = cast(object, type(value))
        write: Callable[[Any], str | None] | None = WRITERS.get(kind)
        if write is not None and (kind is type_ or type_ is Any or value is type_ is None):
            text = write(value)
            if text is not None:
                return text, value
        if type_ is Any or type_ is object:
            name = self._registered.names.get(kind)
            if name is not None:
                text, loaded = self.encode(value, kind, path)
                return f'{{"{TAG}":"{name}","{VALUE}":{text}}}', loaded
        coder = self._coder(type_, path)
        try:
            written = coder.write(value)
        except Exception as error:
            raise not_writable(value, path, error) from error
        try:
            loaded = coder.read(written)
        except Exception as error:
            raise NotStorable(*reading_failed(value, path, error)) from error
        difference = self._difference(value, loaded, path)
        if difference is not None:
            raise NotStorable(path + "".join(difference[:0:-1]), difference[0])
        return written.decode(), loaded

    def decode(self, text: str, type_: object, path: str = "value") -> object:
        """Read a value that was written for the type. Raises NotReadable when the text does not fit the type."""
        try:
            return self._coder(type_, path).read(text)
        except NotStorable:
            raise
        except Exception as error:
            from pydantic_core import from_json

            try:
                tree: object = from_json(text, allow_inf_nan=True)
            except ValueError as fault:
                if "recursion limit" in str(fault):
                    raise NotReadable(path, TOO_DEEP) from error
                raise NotReadable(path, f"it is not JSON: {fault}. The store was changed by something else.") from error
            where, reason = reading_failed(tree, path, error)
            raise NotReadable(where, reason) from error

    def items(self, type_: object) -> object:
        """Return the type of the items of a type that is stored as an array, Any when it is not declared or differs.

        >>> Codec().items(list[int])
        <class 'int'>
        """
        return items_of(type_)

    def check(self, type_: object, path: str) -> str | None:
        """Tell why no value of a type can be stored, in a sentence, or return None.

        What depends on the value, like a field that may hold anything, is only known when there is one.
        """
        try:
            coder = self._coder(type_, path)
        except NotStorable as error:
            return str(error)
        found = obstacle(coder.schema)
        return None if found is None else f"The value at {path}{found[0]} cannot be stored: {found[1]}"

    def separate(self, type_: object) -> Parts | None:
        """Return the fields of a type of states that can be written each by itself, None where they cannot."""
        coder = self._coder(type_, "state")
        if coder not in self._parts:
            self._parts[coder] = self._separated(coder)
        found = self._parts[coder]
        kinds = () if found is None else (found.kind, list, tuple, dict, *ATOMS)
        return None if any(map(self._equality.has_rule, kinds)) else found

    def _separated(self, coder: Coder) -> Parts | None:
        found = separate_fields(coder.schema)
        if found is None:
            return None
        kind, fields = found
        coders: dict[str, Coder] = {}
        for name, stored in field_schemas(coder.stored.root).items():
            write, _ = coder.stored.tools_of_part(stored)
            _, read = coder.stored.tools_of_part({"type": "list", "items_schema": stored})
            coders[name] = Coder(fields[name], coder.stored, (write, read))
        growing = {name: item for name, field in fields.items() if (item := grows_by(field)) is not None}
        return Parts(kind, coders, growing)

    def _coder(self, type_: object, path: str) -> Coder:
        try:
            coder = self._coders.get(type_)
            if coder is None:
                coder = self._coders[type_] = self._made(type_, path)
            return coder
        except TypeError:  # unhashable, like Annotated[int, []]
            held = self._unhashable.get(id(type_))
            if held is None:
                held = self._unhashable[id(type_)] = (type_, self._made(type_, path))
            return held[1]

    def _made(self, type_: object, path: str) -> Coder:
        from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

        try:
            adapter: TypeAdapter[object] = TypeAdapter(cast(Any, type_))  # no checker knows what may be declared
            adapter.rebuild()  # for a model that puts off the making of its schema
            schema = cast(Schema, adapter.core_schema)
            stored = StoredSchema(schema, pack=self._registered.pack, unpack=self._registered.unpack, same=self.is_same)
            return Coder(schema, stored)
        except PydanticSchemaGenerationError as error:
            reason = f"its type {name_of_type(type_)} is or holds a class that pydantic cannot write. {WAY_OUT}"
            raise NotStorable(path, reason) from error
        except (PydanticUserError, NameError, TypeError, ValueError) as error:
            fault = str(error).strip().split("\n")[0].rstrip(".")
            reason = f"pydantic has no schema for its declared type {name_of_type(type_)}: {fault}."
            raise NotStorable(path, reason) from error

    def is_same(self, value: object, loaded: object) -> bool:
        """Tell whether what was read back is the value that was written."""
        return self._equality.difference(value, loaded) is None

    def _difference(self, value: object, loaded: object, path: str) -> Difference | None:
        try:
            return self._equality.difference(value, loaded)
        except RecursionError as error:
            raise NotStorable(path, TOO_DEEP) from error

    def _tree(self, value: object, kind: type) -> object:
        from pydantic_core import from_json

        return from_json(self._coder(kind, "value").write(value))

    def _untree(self, tree: object, kind: type) -> object:
        from pydantic_core import to_json

        return self._coder(kind, "value").read(to_json(tree))


def name_of_type(type_: object) -> str:
    """Return the name of a type as an author would write it."""
    return type_.__qualname__ if isinstance(type_, type) and not get_args(type_) else repr(type_).replace("typing.", "")


def items_of(type_: object) -> object:
    """Return the type of the items of a type that is stored as an array, else Any.

    >>> items_of(tuple[str, ...] | None)
    <class 'str'>
    """
    if isinstance(type_, NewType):
        return items_of(type_.__supertype__)
    named = getattr(type_, "__value__", None)
    if named is not None:
        return items_of(named)
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return items_of(arguments[0])
    if origin in (Union, UnionType):
        others = [argument for argument in arguments if argument is not NoneType]
        return items_of(others[0]) if len(others) == 1 else Any
    if origin in CONTAINERS and arguments:
        return arguments[0]
    if origin is tuple:
        kinds = [argument for argument in arguments if argument is not ...]
        return kinds[0] if kinds and all(kind == kinds[0] for kind in kinds) else Any
    return Any


_decoder: Final = JSONDecoder(parse_float=str, parse_int=str)


def split_array(text: str) -> list[str]:
    """Cut the text of a JSON array into the texts of its items. Time grows with the length of the text.

    Raises ValueError when the text is not an array.

    >>> split_array('[1, "a,b", {"c": [2]}]')
    ['1', '"a,b"', '{"c": [2]}']
    """
    at = _past_space(text, 0)
    if text[at : at + 1] != "[":
        raise ValueError(f"This is not the text of a JSON array: {text[:40]!r}.")
    at = _past_space(text, at + 1)
    items: list[str] = []
    while text[at : at + 1] != "]" or items:
        end = _decoder.raw_decode(text, at)[1]
        items.append(text[at:end])
        at = _past_space(text, end)
        if text[at : at + 1] != ",":
            break
        at = _past_space(text, at + 1)
    if text[at : at + 1] != "]" or _past_space(text, at + 1) != len(text):
        raise ValueError(f"The text of a JSON array ends wrongly at character {at}: {text[at : at + 40]!r}.")
    return items


def _past_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
