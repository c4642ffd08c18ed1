"""Answers with fields that are left out rather than null."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, GetJsonSchemaHandler, SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Sparse(BaseModel):
    """Leaves out the fields named in ``_sparse`` where they are None, as OpenAI does; the others are null then."""

    _sparse: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        return {name: value for name, value in written.items() if value is not None or name not in self._sparse}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The description shows the fields themselves, and that those which may be left out may be."""
        plain: Any = {name: part for name, part in core_schema.items() if name != "serialization"}
        described = handler(plain)
        inner = handler.resolve_ref_schema(described)
        if "required" in inner:
            inner["required"] = [name for name in inner["required"] if name not in cls._sparse]
        return described
