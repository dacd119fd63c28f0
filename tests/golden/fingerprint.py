"""What an event class looks like when it is stored: its fields, their types, their defaults."""

from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from domain.events import Event


def fingerprint(cls: type[Event]) -> dict[str, str]:
    """Stored field -> its type in full, enums by their values, with its default if it has one."""
    return {field.encode_name: _field(field) for field in msgspec.structs.fields(cls)}


def _field(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return _text(field.type)
    if field.default_factory is not msgspec.NODEFAULT:
        return f"{_text(field.type)} = {field.default_factory.__name__}()"
    return f"{_text(field.type)} = {msgspec.json.encode(field.default).decode()}"


def _text(kind: Any) -> str:
    """Raises TypeError for a type that nobody has thought of here."""
    if kind is NoneType:
        return "null"
    if kind is Any:
        return "any"
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " | ".join(sorted(_text(one) for one in arguments))
    if origin is Literal:
        return f"literal({', '.join(sorted(map(str, arguments)))})"
    if origin is not None:
        inside = ", ".join("..." if one is ... else _text(one) for one in arguments)
        return f"{origin.__name__}[{inside}]"
    if issubclass(kind, Enum):
        return f"enum({', '.join(sorted(str(one.value) for one in kind))})"
    if issubclass(kind, msgspec.Struct):
        fields = msgspec.structs.fields(kind)
        return f"struct({', '.join(f'{f.encode_name}: {_field(f)}' for f in fields)})"
    if kind in (str, int, float, bool, bytes):
        return str(kind.__name__)
    raise TypeError(f"teach tests/golden/fingerprint.py about {kind!r}")
