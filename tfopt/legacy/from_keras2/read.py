"""Files of Keras 2 as tf_keras models."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.legacy._tf_keras import reading_code
from tfopt.legacy.extra_layers import EXTRA
from tfopt.legacy.from_keras2.safety import refuse_code

_KERAS_2_ACTIVATIONS = ("hard_silu", "hard_swish", "relu6", "silu", "swish")
"""Names that some versions of Keras 2 or models' authors gave to activations, and others do not know."""


def read(path: str, custom_objects: Mapping[str, Any], safe_mode: bool) -> Any:
    """Return the model in an `.h5` or `.keras` file or a SavedModel folder.

    Raises:
        InvalidArgumentError: there is no model of Keras 2.
        UnsupportedModel: it holds Python code and `safe_mode` is set, or tf_keras cannot read it.
    """
    configs = list(_configs(Path(path)))
    if safe_mode:
        refuse_code(path, configs, custom_objects)
    import tf_keras

    from tfopt.legacy.hosted import lambda_layers

    known = {**_known(), **{name: _as_legacy(name, each) for name, each in custom_objects.items()}}
    known.setdefault("Lambda", lambda_layers(custom_objects))
    try:
        with reading_code():  # what is code has been refused, or is wanted
            if Path(path).is_dir():
                return tf_keras.models.load_model(path, custom_objects=known, compile=False)
            config = _readable(configs[0], custom_objects)
            if zipfile.is_zipfile(path):
                return _load_archive(path, config, known)
            model = tf_keras.models.model_from_config(_decoded(config), custom_objects=known)
            model.load_weights(path)
            return model
    except Exception as error:
        raise UnsupportedModel(
            f"tf_keras cannot read {path}: {error} If that names a class or a function that is not Keras's "
            "own, pass it, written for Keras 3, as custom_objects={name: it}."
        ) from error


def _readable(config: Any, custom_objects: Mapping[str, Any]) -> Any:
    """Return a model's config in which layers that `custom_objects` replaces count as custom ones."""
    if isinstance(config, list):
        return [_readable(each, custom_objects) for each in config]
    if not isinstance(config, dict):
        return config
    config = {key: _readable(each, custom_objects) for key, each in config.items()}
    name, settings = config.get("class_name"), config.get("config")
    named_lambda = name == "Lambda" and isinstance(settings, dict) and settings.get("name") in custom_objects
    return config | {"registered_name": name} if named_lambda or name in custom_objects else config


def _decoded(config: Any) -> Any:
    """Return a model's config out of an .h5 file with what JSON has no form for, and functions as names.

    Some versions write functions so that none can read them.
    """
    if isinstance(config, list):
        return [_decoded(each) for each in config]
    if not isinstance(config, dict):
        return config
    config = {key: _decoded(each) for key, each in config.items()}
    if config.get("class_name") == "function" and isinstance(config.get("config"), str):
        return config["config"]
    if config.get("type") == "ndarray" and "value" in config:
        return config["value"]
    kind = config.get("class_name", "")
    if kind in _FORMS:
        return _FORMS[kind](config)
    if kind in _OLD_DEFAULTS and isinstance(config.get("config"), dict):
        return config | {"config": _OLD_DEFAULTS[kind] | config["config"]}
    return config


_FORMS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "__ellipsis__": lambda config: Ellipsis,  # noqa: ARG005
    "__tuple__": lambda config: tuple(config["items"]),
    "TensorShape": lambda config: config["items"],
}
"""What `class_name` says -> how tf_keras writes what JSON has no form for."""

_OLD_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "GRU": {"reset_after": False},
    "GRUCell": {"reset_after": False},
}
"""Class -> settings that versions which did not know them had, where tf_keras's default is another."""


def _load_archive(path: str, config: Any, known: Mapping[str, Any]) -> Any:
    """Return the model in a .keras file with another config in the place of its own."""
    import tf_keras

    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as old:
        with zipfile.ZipFile(Path(folder) / "model.keras", "w") as new:
            for name in old.namelist():
                new.writestr(name, json.dumps(config) if name == "config.json" else old.read(name))
        return tf_keras.models.load_model(new.filename, custom_objects=known, compile=False, safe_mode=False)


def _configs(path: Path) -> Iterator[Any]:
    """Yield the descriptions of the model in a file or folder, and of its parts."""
    if not path.exists():
        raise InvalidArgumentError(f"There is no file or folder {path}.")
    if path.is_dir():
        yield from _of_saved_model(path)
    elif zipfile.is_zipfile(path):
        yield from _of_archive(path)
    else:
        yield from _of_hdf5(path)


def _of_hdf5(path: Path) -> Iterator[Any]:
    import h5py

    if not h5py.is_hdf5(path):
        raise InvalidArgumentError(
            f"{path} is no Keras 2 model: expected .h5, .keras or a SavedModel folder."
        )
    with h5py.File(path, "r") as file:
        _require_keras_2(path, _text(file.attrs.get("keras_version", "2")))
        if "model_config" not in file.attrs:
            raise InvalidArgumentError(
                f"{path} holds weights alone. Make the model with tf_keras, call its "
                f"load_weights({path.name!r}) and pass the model."
            )
        yield json.loads(_text(file.attrs["model_config"]))


def _of_archive(path: Path) -> Iterator[Any]:
    with zipfile.ZipFile(path) as archive:
        if "config.json" not in archive.namelist():
            raise InvalidArgumentError(f"{path} is a zip file without a Keras model in it.")
        if "metadata.json" in archive.namelist():
            _require_keras_2(path, json.loads(archive.read("metadata.json")).get("keras_version", "2"))
        config = json.loads(archive.read("config.json"))
        config.pop("compile_config", None)  # is not read, so the lambda of a loss does no harm
        yield config


def _of_saved_model(path: Path) -> Iterator[Any]:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

    if not (path / "saved_model.pb").exists():
        raise InvalidArgumentError(f"The folder {path} is no SavedModel: it has no saved_model.pb.")
    if (path / "keras_metadata.pb").exists():
        found = SavedMetadata.FromString((path / "keras_metadata.pb").read_bytes()).nodes
        texts = [node.metadata for node in found]
    else:
        # Before TensorFlow 2.5 the descriptions stood in the graph of objects itself.
        graph = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0].object_graph_def
        texts = [node.user_object.metadata for node in graph.nodes if node.HasField("user_object")]
    configs = [json.loads(text) for text in texts if text.startswith("{")]
    if not any("class_name" in config for config in configs):
        raise InvalidArgumentError(
            f"The SavedModel {path} holds a TensorFlow graph and no Keras model: it was exported, not "
            "saved. Run it with keras.layers.TFSMLayer, or save the model again with tf_keras's model.save."
        )
    yield from configs


def _require_keras_2(path: Path, version: str) -> None:
    if version.startswith("1."):
        raise InvalidArgumentError(
            f"{path} was written by Keras {version}, whose settings have other names. Load it with Keras 2.0 "
            "to 2.3, which translate them, save it again and pass that file."
        )
    if version.startswith("3"):
        raise InvalidArgumentError(
            f"{path} was written by Keras {version}. Load it with keras.models.load_model."
        )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _known() -> dict[str, Any]:
    """Return what files of Keras 2 name and tf_keras does not know by these names."""
    import tf_keras

    from tfopt.legacy.hosted import stand_in

    plain: dict[str, Callable[..., Any]] = {
        "CuDNNGRU": tf_keras.layers.GRU,
        "CuDNNLSTM": tf_keras.layers.LSTM,
        # tf_keras's own asks `tf.keras`, then Keras 3, for a part of it.
        "SpectralNormalization": stand_in("SpectralNormalization", keras.layers.SpectralNormalization),
    }
    activations = {name: keras.activations.get(name) for name in _KERAS_2_ACTIVATIONS}
    layers = {
        name: stand_in(name, kind) for name, kind in EXTRA.items() if not hasattr(tf_keras.layers, name)
    }
    return {**plain, **activations, **layers}


def _as_legacy(name: str, value: Any) -> Any:
    """Return a custom object in the form in which tf_keras can read a model that has it."""
    from tfopt.legacy.hosted import stand_in

    return stand_in(name, value) if isinstance(value, type) and issubclass(value, keras.Layer) else value
