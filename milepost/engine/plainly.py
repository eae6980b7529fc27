"""What is said to a run from outside: JSON as anybody would write it, held against a declared type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Final, cast
from uuid import UUID

from milepost.engine.errors import AnswerError, InputError
from milepost.engine.spec import UNKNOWN

if TYPE_CHECKING:
    from jsonschema import FormatChecker
    from pydantic import TypeAdapter

FORMATS: Final[Mapping[str, object]] = {
    "date": date,
    "date-time": datetime,
    "time": time,
    "duration": timedelta,
    "uuid": UUID,
    "decimal": Decimal,
}
"""What text of a format is read as: whoever drives the run reads it so, too."""


def adapter_for(type_: object) -> TypeAdapter[Any]:
    """Return what reads values of a type; made once for each."""
    try:
        return _adapter(type_)
    except TypeError:  # unhashable, like Annotated[int, []]
        return _adapter.__wrapped__(type_)


@lru_cache(maxsize=256)
def _adapter(type_: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(type_)


def schema_of(type_: object) -> str:
    """Return the JSON schema of a type as JSON text, "" where it is not declared or has none; made once for each."""
    if type_ is UNKNOWN:
        return ""
    try:
        return _schema(type_)
    except TypeError:  # unhashable
        return _schema.__wrapped__(type_)


@lru_cache(maxsize=256)
def _schema(type_: Any) -> str:
    from pydantic import PydanticInvalidForJsonSchema, PydanticUserError
    from pydantic_core import to_json

    from milepost.engine.plain_schema import PlainSchema

    try:
        return to_json(adapter_for(type_).json_schema(schema_generator=PlainSchema)).decode()
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        return ""


def plain_text(value: object, what: str) -> str:
    """Return a value as JSON text. what: it is for. Raises AnswerError: it is nothing that JSON has."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(value, inf_nan_mode="strings").decode()
    except (PydanticSerializationError, ValueError) as error:
        raise AnswerError(what, [f"It cannot be written as JSON: {str(error).rstrip('.')}."]) from error


def read_plain(text: str, type_: object, what: str) -> Any:
    """Return the value that JSON text stands for, by its type. what: it is for. Raises AnswerError with every fault."""
    from pydantic import ValidationError

    try:
        return adapter_for(type_).validate_json(text)
    except ValidationError as error:
        faults = [fault_of(fault) for fault in cast("list[Mapping[str, Any]]", error.errors(include_url=False))]
        raise AnswerError(what, faults) from error
    except Exception as error:  # a validator of the author has a fault of its own
        raise AnswerError(what, [f"A validator of its type failed: {type(error).__name__}: {error}."]) from error


def check_value(value: object, type_: object, what: str) -> None:
    """Hold a value against a type, as it is. what: it is called. Raises AnswerError, with every fault.

    A type that cannot be read yet, as a name in it is not known so far, is left for when it is.
    """
    from pydantic import PydanticUserError, ValidationError

    try:
        adapter_for(type_).validate_python(value, strict=True)
    except ValidationError as error:
        faults = [fault_of(fault) for fault in cast("list[Mapping[str, Any]]", error.errors(include_url=False))]
        raise AnswerError(what, faults) from error
    except PydanticUserError:
        return


def fault_of(fault: Mapping[str, Any]) -> str:
    """Return what pydantic says of one fault as a sentence."""
    place = ".".join(str(part) for part in fault["loc"])
    text = str(fault["msg"]).rstrip(".")
    return f"At {place!r}: {text}." if place else f"{text}."


def check_schema(text: str, schema: str, what: str) -> None:
    """Hold JSON text against a JSON schema, where the code that declares the type is not at hand.

    Raises AnswerError, with every fault; InputError: it is not JSON.
    """
    from pydantic_core import from_json

    try:
        given: object = from_json(text)
    except ValueError as error:
        raise InputError(f"{text!r} is not JSON ({error}). Text stands in quotes: '\"yes\"'.") from error
    if not schema:
        return
    validator: Any = _validators()(from_json(schema), format_checker=_formats())
    found: list[Any] = sorted(validator.iter_errors(given), key=lambda error: [str(part) for part in error.path])
    faults = [fault_of({"loc": tuple(error.path), "msg": _said_of(error)}) for error in found]
    if faults:
        raise AnswerError(what, faults)


def _said_of(error: Any) -> str:
    """Return what is wrong with a part; of one that may be of several kinds, what is wrong with it as its own kind."""
    inner: list[Any] = list(error.context or ())
    told = [str(one.message) for one in inner if one.validator != "type" and not one.relative_path]
    return told[0] if len(told) == 1 else str(error.message)


@lru_cache(maxsize=1)
def _validators() -> Any:
    """Return the class of validators that know our keyword, too. Its annotations know no JSON from outside."""
    from importlib import import_module

    from milepost.engine.plain_schema import LIMITS

    validators: Any = import_module("jsonschema.validators")
    return validators.extend(validators.Draft202012Validator, {LIMITS: _beyond})


def _beyond(validator: object, limits: object, value: object, schema: object) -> Iterator[Exception]:
    """Yield how text that stands for a Decimal goes beyond the limits of that. Of no other value there is a fault."""
    from jsonschema import ValidationError as SchemaError
    from pydantic import Field, ValidationError

    if not isinstance(value, str) or not isinstance(limits, Mapping):
        return
    written = cast("Mapping[str, str | int]", limits)  # by `PlainSchema`
    try:
        number = adapter_for(Decimal).validate_python(value)
    except ValueError:  # it is no number, which its format says
        return
    given: dict[str, Any] = {name: Decimal(one) if isinstance(one, str) else one for name, one in written.items()}
    try:
        adapter_for(Annotated[Decimal, Field(**given)]).validate_python(number)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            yield SchemaError(str(fault["msg"]).rstrip("."))


@lru_cache(maxsize=1)
def _formats() -> FormatChecker:
    """Return what tells whether text is of a format."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    for name, type_ in FORMATS.items():
        checker.checks(name, raises=ValueError)(partial(_is_read, adapter_for(type_)))
    return checker


def _is_read(adapter: TypeAdapter[Any], value: object) -> bool:
    """Tell whether a value is no text, or text that can be read. Raises ValueError: it cannot."""
    if isinstance(value, str):
        adapter.validate_strings(value)
    return True
