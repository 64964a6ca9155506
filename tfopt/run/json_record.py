"""Records: frozen dataclasses that are written as JSON objects and read back.

A field is a key of the file. Reading is strict where a value is of the wrong type and lenient where it is
missing: files of older versions of tfopt lack keys, for which the default of the field is taken. Keys that no
field has, of a newer tfopt or of a stage of the user's own, are kept in `extra` and written again.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, Union, get_args, get_origin, get_type_hints

_KEY, _OMITTED = "key", "omitted"

_SCALARS: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    float: ((int, float), "a number"),
    int: ((int,), "a whole number"),
    str: ((str,), "text"),
}
"""Type of a field -> the types of its JSON values, and what a message calls them."""


OMITTED = {_OMITTED: True}
"""Metadata of a field that is left out of the file while it is `None`; other fields are written as null."""


def key(name: str) -> dict[str, str]:
    """Return the metadata of a field whose key in the file is not its name."""
    return {_KEY: name}


@dataclass(frozen=True, kw_only=True)
class Record:
    """Base of the records. Every field of a subclass has a default, which is taken for a missing key.

    Attributes:
        extra: key -> value of what the file says beyond the fields.
    """

    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the record that a JSON object describes.

        Raises:
            ValueError: a value is of the wrong type; the message says where.
        """
        return _record(cls, content, "")

    @classmethod
    def of(cls, content: Self | Mapping[str, Any]) -> Self:
        """Return a record as it is, or the one that a JSON object describes."""
        return content if isinstance(content, cls) else _record(cls, content, "")

    @classmethod
    def upgraded(cls, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the JSON object of an older version of tfopt as this one writes it."""
        return content

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        found: dict[str, Any] = {}
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if each.name != "extra" and (value is not None or not each.metadata.get(_OMITTED)):
                found[each.metadata.get(_KEY, each.name)] = plain(value)
        return {**found, **plain(self.extra)}


def plain(value: Any) -> Any:
    """Return a value as JSON values: records as objects, tuples as lists, NaN and infinity as null."""
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


R = TypeVar("R", bound=Record)


def _record(cls: type[R], content: Any, where: str) -> R:
    if not isinstance(content, Mapping):
        raise ValueError(f"{where or 'the record'}: expected an object, got {content!r}")
    content = cls.upgraded(content)
    hints = _hints(cls)  # type: ignore[arg-type]  # mypy takes a class for one of its instances
    known: dict[str, Any] = {}
    keys = set()
    for each in dataclasses.fields(cls):
        name = each.metadata.get(_KEY, each.name)
        if each.name == "extra":
            continue
        keys.add(name)
        if content.get(name) is not None:
            known[each.name] = _value(hints[each.name], content[name], f"{where}.{name}".lstrip("."))
    return cls(**known, extra={name: value for name, value in content.items() if name not in keys})


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return a JSON value as the type of its field."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):  # of a type and None
        if value is None:
            return None
        return _value(next(each for each in arguments if each is not types.NoneType), value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where}: expected a list, got {value!r}")
        return tuple(_value(arguments[0], entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: expected an object, got {value!r}")
        return {key: _value(arguments[1], entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(hint, type) and issubclass(hint, Record):
        return _record(hint, value, where)
    if hint in _SCALARS:
        kinds, name = _SCALARS[hint]
        if not isinstance(value, kinds) or (isinstance(value, bool) and hint is not bool):
            raise ValueError(f"{where}: expected {name}, got {value!r}")
    return value
