"""JSON schemas that say of text what it means where pydantic leaves that out: they refuse what it would refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic.json_schema import GenerateJsonSchema

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema


class PlainSchema(GenerateJsonSchema):
    """pydantic's own, but for the text that a Decimal may be written as, which is of the format "decimal"."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        found = super().decimal_schema(schema)
        for option in found.get("anyOf", [found]):
            if option.get("type") == "string":
                option["format"] = "decimal"
        return found
