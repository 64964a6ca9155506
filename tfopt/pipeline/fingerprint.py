"""The fingerprint of a run, a digest of its plan: two runs with the same one have the same result."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.pipeline.training.state import capture, left_out


def fingerprint(parts: dict[str, Any]) -> str:
    """Return the SHA-256 of JSON values, as 64 hex digits; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def model_config(model: keras.Model) -> Any:
    """Return the config of a model without what depends on what the process made before."""
    return without_made_up_names({"class_name": type(model).__name__, "config": model.get_config()})


def structure(model: keras.Model) -> str:
    """Return the SHA-256 of the config of a model, as 64 hex digits; its weights do not count."""
    return fingerprint({"model": model_config(model)})


def without_made_up_names(config: Any) -> Any:
    """Return a Keras config with the names that Keras made up (`"conv2d_3"`) as numbers in order."""
    made_up: dict[str, str] = {}
    _collect(config, made_up)
    return _replace(config, made_up)


def without_addresses(config: Any) -> Any:
    """Return a Keras config as it is, but for the addresses in memory of the objects in it."""
    return _replace(config, {})


def weights_digest(model: keras.Model) -> str:
    """Return the SHA-256 of the model's weights, as 64 hex digits."""
    return _digest(model.weights)


def variables_digest(model: keras.Model) -> str:
    """Return the SHA-256 of all of the model's variables, the states of its seed generators included."""
    return _digest(model.variables)


def _digest(variables: Iterable[keras.Variable]) -> str:
    digest = hashlib.sha256()
    for variable in variables:
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        digest.update(f"{values.dtype} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def callback_configs(callbacks: Sequence[keras.callbacks.Callback]) -> list[Any]:
    """Return what can be said about callbacks: their config, else their plain attributes."""
    configs = []
    for callback in callbacks:
        if hasattr(callback, "get_config"):
            config = callback.get_config()
        else:
            arrays: dict[str, np.ndarray] = {}
            config = {"attributes": capture(callback, arrays, ""), "arrays": {}}
            for name, array in arrays.items():
                config["arrays"][name] = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        configs.append({"class": type(callback).__name__, **config})
    return configs


def are_described(callbacks: Sequence[keras.callbacks.Callback]) -> bool:
    """Return whether `callback_configs` says all that there is: an attribute may hold what has no digest."""
    return all(hasattr(callback, "get_config") or not left_out(callback) for callback in callbacks)


def _collect(config: Any, made_up: dict[str, str]) -> None:
    """Find the objects of a config whose name is what Keras makes of their class, perhaps with a number."""
    if isinstance(config, dict):
        inner = config.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("name"), str) and config.get("class_name"):
            # As Keras names layers: "Conv2D" -> "conv2d", "BatchNormalization" -> "batch_normalization".
            snake = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", str(config["class_name"]).split(">")[-1])
            snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", snake).lower()
            name = inner["name"]
            if re.fullmatch(re.escape(snake) + r"(_\d+)?", name):
                made_up.setdefault(name, f"{snake}#{len(made_up)}")
        for value in config.values():
            _collect(value, made_up)
    elif isinstance(config, list | tuple):
        for value in config:
            _collect(value, made_up)


def _replace(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, dict):
        # The identity of a shared object is its address in memory.
        return {key: _replace(value, names) for key, value in config.items() if key != "shared_object_id"}
    if isinstance(config, list | tuple):
        return [_replace(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config
