"""JSON schemas that say of text what it means where pydantic leaves that out: they refuse what it would refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic.json_schema import GenerateJsonSchema

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

LIMITS: Final = "x-decimal"
"""The keyword under which a schema has the limits of a Decimal that is written as text."""

_EXACT: Final = ("gt", "ge", "lt", "le", "multiple_of")
_COUNTS: Final = ("max_digits", "decimal_places")


class PlainSchema(GenerateJsonSchema):
    """pydantic's own, but for the text that a Decimal may be written as.

    That is of the format "decimal", and has its limits under the keyword "x-decimal", by pydantic's names for them; as
    text, since a number of JSON is seldom exactly what they are.
    """

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        found = super().decimal_schema(schema)
        given = {name: limit for name, limit in schema.items() if limit is not None}
        limits = {name: str(limit) for name, limit in given.items() if name in _EXACT}
        counts = {name: limit for name, limit in given.items() if name in _COUNTS}
        for option in found.get("anyOf", [found]):
            if option.get("type") == "string":
                option["format"] = "decimal"
                if limits or counts:
                    option[LIMITS] = {**limits, **counts}
        return found
