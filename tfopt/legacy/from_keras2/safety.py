"""Python code in files: found before anything is read that could run it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tfopt.errors import UnsupportedModel
from tfopt.legacy.allowed import is_allowed

_MODULES = ("keras", "tf_keras", "tensorflow", "builtins", "tfopt")


def refuse_code(path: str, configs: Iterable[Any], custom_objects: Mapping[str, Any]) -> None:
    """Raise where a description of a model holds Python code, or names some to be imported.

    Raises:
        UnsupportedModel: it does; the message names the layer.
    """
    for config in configs:
        for found in _dicts(config):
            reason = _code(found, custom_objects)
            if reason:
                raise UnsupportedModel(
                    f"{path} {reason}. Reading it would run that code, which can do anything. If you trust "
                    "the file, pass safe_mode=False; if you know what the function does, pass one written "
                    "for Keras 3 under the layer's name: custom_objects={name: function}."
                )


def _code(found: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> str | None:
    """Return what is dangerous about an object's description, or None."""
    name = found.get("class_name")
    config = found.get("config")
    inner = config if isinstance(config, dict) else {}
    if name == "__lambda__":
        return "holds a lambda as Python bytecode"
    if name == "Lambda" and not {"Lambda", inner.get("name")} & {*custom_objects}:
        codes = [key for key in ("function", "output_shape", "mask") if inner.get(key + "_type") == "lambda"]
        if codes or isinstance(inner.get("function"), list):
            return f"holds the Lambda layer {inner.get('name')!r}, whose function is Python bytecode"
    if name in {"TFOpLambda", "SlicingOpLambda"}:
        symbol = str(inner.get("function"))
        if not is_allowed(symbol):
            return f"holds the layer {inner.get('name')!r}, which calls tf.{symbol}"
    module = found.get("module")
    if isinstance(name, str) and isinstance(module, str) and module.partition(".")[0] not in _MODULES:
        names = {name, found.get("registered_name"), config if isinstance(config, str) else None}
        if not names & {*custom_objects}:
            return f"names {name!r} of the Python module {module!r}"
    return None


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every dict in a structure."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _dicts(each)
