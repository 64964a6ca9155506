"""Checks before any training, of everything that would otherwise fail after an hour of it."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.data.dataset import Dataset
from tfopt.data.structure import fits, leaves, map_leaves
from tfopt.errors import DataError, InvalidArgumentError, RunError, UnsupportedModel
from tfopt.pipeline.fingerprint import weights_digest
from tfopt.pipeline.on_tpu import check_on_tpu
from tfopt.pipeline.run_config import RunConfig
from tfopt.pipeline.run_plan import RunPlan
from tfopt.pipeline.teachers import check_teachers
from tfopt.pipeline.training.compilation import Compilation, output_names, trains_itself
from tfopt.pipeline.training.precision import with_precision
from tfopt.stages.distill import Distill
from tfopt.stages.file_scheme import scheme_of_file
from tfopt.stages.train import Train


def planned(config: RunConfig, model: keras.Model) -> RunPlan:
    """Return the plan of a run, checked: the model can be trained on the data, saved and loaded.

    Inputs that came by name are put in the model's order, and unscaled where the model scales them by itself;
    labels become one-hot rows where its loss wants these. A subclassed model is read into a functional one
    of its layers, which a `.keras` file can hold.

    Raises:
        UnsupportedModel: the model is subclassed and cannot be read, or does not come back from a `.keras`
            file as it went in.
        InvalidArgumentError: its inputs or outputs do not fit the data.
    """
    if not isinstance(model, keras.Model):
        raise InvalidArgumentError(f"{config.caller}: model must be a keras.Model, got {model!r}.")
    model = with_precision(config.caller, _functional(model, config.data), config.precision)
    data = _arranged_targets(_arranged(config.data, model), model)
    _check_inputs(model, data)
    _check_outputs(model, data, config.compilation)
    data = graph.as_taken(model, data)
    warned = map(scaled_twice_warning, graph.scaled_twice(model, data))
    compilation = config.compilation.for_outputs(model)
    if _takes_one_hot(model, data, compilation):
        data = data.one_hot()
    check_teachers(config.stages, model, compilation)
    _check_round_trip(model, data)
    config = dataclasses.replace(config, data=data, compilation=compilation)
    return RunPlan(config=config, model=model, warnings=tuple(dict.fromkeys(warned)))


def check_stages(plan: RunPlan) -> None:
    """Raise where a stage cannot do with the model what it is told, up to the first that changes layers.

    Also where the strategy's devices cannot.

    For a run that begins: a stage may write and measure files to find out.
    """
    config = plan.config
    check_on_tpu(config, plan.model)
    for stage in config.stages:
        stage.preflight(plan.model, config.data, config.compilation.loss(), scheme_of_file(config.stages))
        if not isinstance(stage, Train | Distill):
            break


def scaled_twice_warning(name: str) -> str:
    """Return the warning about an input that is scaled twice."""
    return (
        f"The input {name!r} is scaled twice: the data holds numbers of about unit size, and the model "
        'scales it again before its first weights. Load the data with scale="none", or take the scaling '
        "(such as Rescaling) out of the model."
    )


def _takes_one_hot(model: keras.Model, data: Dataset, compilation: Compilation) -> bool:
    """Return whether the loss of a model compares its outputs with one-hot rows, one number a class."""
    if data.num_classes is None or len(model.outputs) != 1:
        return False
    return tuple(model.outputs[0].shape[1:]) == (data.num_classes,) and compilation.takes_rows()


def _functional(model: keras.Model, data: Dataset) -> keras.Model:
    if isinstance(model, keras.Sequential):
        graph.require_functional(model)
    if graph.is_functional(model):
        return model
    if not model.built:  # as `fit` would build it
        model(map_leaves(lambda array: array[:2], data.x_train))
    if own := graph.own_training(model):
        raise UnsupportedModel(
            f"The model {model.name!r} is subclassed ({type(model).__name__}) and trains by its own "
            f"{own[0]}(), which its functional form would not have. Make it functional, with "
            "super().__init__(inputs=inputs, outputs=outputs) in its __init__, or train it yourself and give "
            "the pipeline an inner model that is to be exported."
        )
    functional = graph.as_functional(graph.copy(model))
    graph.warn_of_unread(graph.unread_losses(functional))
    return functional


def _arranged(data: Dataset, model: keras.Model) -> Dataset:
    """Return the data with inputs in the model's order, where they came by the names of its inputs."""
    # A Sequential that was never called has no `input`.
    if not isinstance(data.x_train, dict) or isinstance(getattr(model, "input", None), dict):
        return data
    names = [tensor.name for tensor in model.inputs]
    if set(names) != set(data.x_train):
        raise DataError(
            f"The model's inputs are {', '.join(names)}, the data's {', '.join(sorted(data.x_train))}. "
            "Give them the same names."
        )
    ordered: dict[str, Any] = {
        split: tuple(getattr(data, split)[name] for name in names) for split in ("x_train", "x_val", "x_test")
    }
    return dataclasses.replace(data, **ordered)


def _arranged_targets(data: Dataset, model: keras.Model) -> Dataset:
    """Return the data with targets in the structure of the model's outputs, where they came by name."""
    several = isinstance(data.y_train, dict | tuple)
    keyed = isinstance(getattr(model, "output", None), dict)
    if not several or trains_itself(model) or (not keyed and not isinstance(data.y_train, dict)):
        return data
    names = output_names(model)
    if not isinstance(data.y_train, dict) or set(names) != set(data.y_train):
        found = ", ".join(sorted(data.y_train)) if isinstance(data.y_train, dict) else "in a tuple"
        raise DataError(
            f"The model's outputs are {', '.join(names)}, the data's targets {found}. Give the targets as a "
            f"dict with the names of the outputs: y={{{', '.join(f'{name!r}: ...' for name in names)}}}."
        )
    if keyed:
        return data
    ordered: dict[str, Any] = {}
    for part in ("y", "sample_weight"):
        for split in ("train", "val", "test"):
            values = getattr(data, f"{part}_{split}")
            if isinstance(values, dict):
                ordered[f"{part}_{split}"] = tuple(values[name] for name in names)
    return dataclasses.replace(data, **ordered)


def _check_inputs(model: keras.Model, data: Dataset) -> None:
    expected = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    found = [array.shape[1:] for _, array in leaves(data.x_train)]
    if len(expected) != len(found) or not all(map(fits, found, expected)):
        raise InvalidArgumentError(
            f"The model {model.name!r} takes inputs of shape {_join(expected)}, the data {data.name!r} has "
            f"{_join(found)}. Build the model with the data's input_shape."
        )


def _check_outputs(model: keras.Model, data: Dataset, compilation: Compilation) -> None:
    if trains_itself(model):
        return  # what its targets are is its own affair
    shapes = [tuple(tensor.shape[1:]) for tensor in model.outputs]
    targets = leaves(data.y_train)
    if len(shapes) != len(targets):
        raise InvalidArgumentError(
            f"The model {model.name!r} has {len(shapes)} outputs, the data {data.name!r} has "
            f"{len(targets)} targets."
        )
    if data.num_classes is None:
        return
    # One sigmoid output tells two classes apart.
    binary = (
        data.num_classes == 2 and shapes[0][-1:] == (1,) and "sparse" not in str(compilation.config["loss"])
    )
    if shapes[0][-1:] != (data.num_classes,) and not binary:
        units = shapes[0][-1] if shapes[0] else 1
        raise InvalidArgumentError(
            f"The model {model.name!r} has {units} outputs, the data {data.name!r} has {data.num_classes} "
            f"classes. Give its last layer {data.num_classes} units."
        )


def _check_round_trip(model: keras.Model, data: Dataset) -> None:
    sample = map_leaves(lambda array: array[:2], data.x_train)
    with tempfile.TemporaryDirectory(prefix="tfopt-") as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
        except OSError as error:
            raise RunError(
                f"Cannot write {path}: {error.strerror or error}. Free some space there, or set TMPDIR."
            ) from error
        except Exception as error:  # whatever a layer of one's own may raise
            raise _not_kept(model, error) from error
        try:
            loaded = keras.saving.load_model(path, compile=False)
        except Exception as error:
            raise _not_kept(model, error) from error
    before, after = (_flat(m(sample, training=False)) for m in (model, loaded))
    same = all(
        np.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True) for a, b in zip(before, after, strict=True)
    )
    if weights_digest(model) != weights_digest(loaded) or not same:
        raise UnsupportedModel(
            f"The model {model.name!r} computes something else after it was saved and loaded: a layer of "
            "yours leaves something out of get_config() or keeps weights where Keras does not see them."
        )


def _not_kept(model: keras.Model, error: Exception) -> UnsupportedModel:
    # Keras wraps the cause in the config of everything around it.
    reason = " ".join(str(error).split("Exception encountered:")[-1].split())[:300]
    return UnsupportedModel(
        f"The model {model.name!r} cannot be saved and loaded again: {reason} Register your own layers with "
        "@keras.saving.register_keras_serializable() and give them get_config()."
    )


def _flat(outputs: Any) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(outputs)]


def _join(shapes: list[Any]) -> str:
    return " and ".join(map(str, shapes))
