"""Checks before any training of what a TPU cannot do: its programs are compiled by XLA, which takes less."""

from __future__ import annotations

import re

import keras
import tensorflow as tf

from tfopt import distribute, graph
from tfopt.data.structure import map_leaves
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.pipeline.run_config import RunConfig


def check_on_tpu(config: RunConfig, model: keras.Model) -> None:
    """Raise where the strategy of a run is that of a TPU, and its training cannot run there.

    The training step of the model as it came is lowered by XLA for the CPU, which has what a TPU has and a
    little more; layers that a stage of tfopt adds are known to pass.

    Args:
        config: of the run.
        model: that it starts from.

    Raises:
        InvalidArgumentError: the model is compiled with `run_eagerly=True`.
        UnsupportedModel: it computes in float16, or has an operation that XLA does not compile.
    """
    if distribute.describe(config.strategy)["name"] != "tpu":
        return
    if config.compilation.config.get("run_eagerly"):
        raise InvalidArgumentError(
            f"{config.caller}: the model is compiled with run_eagerly=True, and a TPU runs compiled steps "
            "only: leave it at False, or take another strategy."
        )
    half = [layer.name for layer in graph.sublayers(model) if layer.compute_dtype == "float16"]
    if half:
        raise UnsupportedModel(
            f"The layer {half[0]!r} computes in float16, which TPUs do no faster than float32 and needs a "
            'loss scale for: pass precision="mixed_bfloat16".'
        )
    refused = _refusal(config, graph.copy(model))
    if refused is not None:
        operation, where = refused
        raise UnsupportedModel(
            f"XLA, which compiles for TPUs, has no {operation}, which the training of {model.name!r} uses"
            f"{f' in {where!r}' if where else ''}: write that part with keras.ops, or take another strategy."
        )


def _refusal(config: RunConfig, model: keras.Model) -> tuple[str, str] | None:
    """Return the operation that XLA refuses to compile in the training step of a model, and where it is."""
    config.compilation.compile(model, config.steps(1))
    parts = config.data.evaluated("train")
    batch = tuple(map_leaves(lambda x: tf.constant(x[: config.batch_size]), part) for part in parts)
    model.train_on_batch(*batch)  # which builds what is built late, such as metrics
    step = tf.function(model.train_step, jit_compile=True, autograph=False)
    try:
        step.experimental_get_compiler_ir(batch)(stage="hlo")
    except (ValueError, tf.errors.OpError) as error:
        found = re.search(r"(\w+) \(No registered .*?(?:\{\{node (.*?)\}\}|$)", str(error))
        if found is None:
            raise
        return found[1], _layer_on(found[2] or "", model)
    return None


def _layer_on(path: str, model: keras.Model) -> str:
    """Return the innermost layer on the path of an operation; `""` where there is none."""
    names = {layer.name for layer in graph.sublayers(model)}
    for part in reversed(path.split("/")):
        for name in (part, re.sub(r"_\d+$", "", part)):  # TensorFlow numbers scopes of the same name
            if name in names:
                return name
    return ""
