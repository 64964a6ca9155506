"""Which layers a model can spare the precision of: its loss with one layer at a time made coarser."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt import _validation
from tfopt.data.labelled import labelled, require_fitting
from tfopt.errors import InvalidArgumentError
from tfopt.graph import as_functional, copy, is_quantized, layers, named_inputs, require_built
from tfopt.pruning.selection import magnitude_masks
from tfopt.quantization.canonicalize.canonicalize import canonical
from tfopt.quantization.mixed_precision.evaluation_loss import Loss, LossOnData
from tfopt.quantization.operators.weights import weights_of
from tfopt.quantization.quantizers.weight import WeightQuantizer
from tfopt.quantization.scheme import Scheme, SchemeLike, scheme_of

Setting = SchemeLike | float
"""A scheme whose grid the weights are put on, or the share of weights that become zero."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerSensitivity:
    """What the loss is when the weights of one layer are made coarser.

    Attributes:
        path: of the layer, as rules take it.
        kind: its class.
        weights: how many it has.
        channels: how many scales they have.
        increases: setting -> the loss with this layer in the setting, less that of the whole model in float.
    """

    path: str
    kind: str
    weights: int
    channels: int
    increases: dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The layers of a model, the most sensitive first.

    Attributes:
        loss: of the model in float on the data; 0 where there are no labels to compare with.
        settings: what each layer was tried in.
        layers: by their largest increase, falling.
    """

    loss: float
    settings: tuple[str, ...]
    layers: tuple[LayerSensitivity, ...]

    def __str__(self) -> str:
        """Return the table: a layer a row, the increase of the loss in each setting."""
        width = max([len("layer"), *(len(layer.path) for layer in self.layers)])
        head = f"{'layer':<{width}}{'weights':>10}" + "".join(f"{name:>14}" for name in self.settings)
        rows = [
            f"{layer.path:<{width}}{layer.weights:>10}"
            + "".join(f"{layer.increases[name]:>+14.3g}" for name in self.settings)
            for layer in self.layers
        ]
        return "\n".join([f"Increase of the loss, which is {self.loss:.4g} in float:", head, *rows])

    def to_dict(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        return dataclasses.asdict(self)


def sensitivity(
    model: keras.Model,
    data: Any,
    settings: Sequence[Setting] = ("int8", "int4"),
    *,
    loss: Loss | None = None,
    batch_size: int = 128,
) -> Sensitivity:
    """Return how much the loss of `model` rises when one layer at a time is quantized or pruned.

    Layers add up roughly: what is tried alone says which to leave wider, not what all together will cost.
    Only weights are made coarser; activations stay in float. One pass over the data for each layer and
    setting, so a few hundred samples are enough.

    Args:
        model: a built Sequential or functional model in float. It is not changed.
        data: `(x, y)`, a `tfopt.data.Dataset` (its validation split), or inputs alone; or a
            `tf.data.Dataset`, `keras.utils.PyDataset` or generator of batches of these, of which the first
            512 samples are taken. Without labels the loss is the noise that a setting adds: the squared
            change of the outputs as a share of their squares.
        settings: schemes, or shares in (0, 1) of weights that become zero.
        loss: of labels and outputs, as `compile` takes it; by default that of the compiled model.
        batch_size: samples at once, 1 or more.

    Returns:
        A table that prints.

    Raises:
        InvalidArgumentError: an unknown setting, labels without a loss, a model that is quantized already.
        UnsupportedModel: a subclassed model.
        DataError: no samples, or values that are not finite.

    Example:
        >>> print(tfopt.sensitivity(model, (x[:512], y[:512]), ["int8", "int4", 0.8]))
    """
    named = {_name(setting): _setting(setting) for setting in settings}
    if not named:
        raise InvalidArgumentError("sensitivity: expected at least one setting, got none.")
    require_built(model)
    if is_quantized(model):
        raise InvalidArgumentError(
            f"The model {model.name!r} is quantization-aware already: give the float model it was made of."
        )
    copied, paths = canonical(as_functional(copy(model)))
    x, y = labelled(data, "sensitivity: data", split="validation", inputs=len(copied.inputs))
    chosen = _loss(model, y, loss)
    require_fitting("sensitivity: data", x, named_inputs(copied), y, chosen, copied.outputs)
    measured = LossOnData(copied, x, y, chosen, batch_size)
    found = [
        LayerSensitivity(
            path=path,
            kind=type(layer).__name__,
            weights=int(np.prod(variable.shape)),
            channels=int(np.prod([variable.shape[axis] for axis in axes])),
            increases={
                name: measured.with_value(variable, coarser(layer, variable, setting)) - measured.baseline
                for name, setting in named.items()
            },
        )
        for path, layer, variable, axes in weighted(copied, paths)
    ]
    found.sort(key=lambda layer: -max(layer.increases.values()))
    return Sensitivity(loss=measured.baseline, settings=tuple(named), layers=tuple(found))


def weighted(
    model: keras.Model, paths: dict[str, str]
) -> Iterator[tuple[str, keras.Layer, keras.Variable, tuple[int, ...]]]:
    """Yield path, layer, weights and channel axes of each layer of a canonical model that has weights."""
    for name, layer in layers(model):
        weights = weights_of(layer)
        if weights is not None:
            yield paths.get(name, name), layer, *weights


def coarser(layer: keras.Layer, variable: keras.Variable, setting: Scheme | float) -> np.ndarray:
    """Return the weights of a layer, which `variable` holds, in a setting."""
    if isinstance(setting, Scheme):
        return WeightQuantizer(layer, setting).quantized().numpy()
    values = variable.numpy()
    return values * magnitude_masks([values], [np.ones(values.shape, bool)], setting)[0]


def _name(setting: Setting) -> str:
    if isinstance(setting, Scheme):
        return f"{setting.weight_bits} bits"
    return f"{setting:.0%} zeros" if _validation.is_number(setting) else str(setting)


def _setting(setting: Setting) -> Scheme | float:
    if _validation.is_number(setting):
        return _validation.number("sensitivity", "a share of zeros", setting, above=0, below=1)
    scheme = scheme_of(setting)
    if scheme.weight_bits is None or scheme.weight_range == "lsq":
        raise InvalidArgumentError(
            f"sensitivity: expected schemes that quantize weights without training them, got {setting!r}."
        )
    return scheme


def _loss(model: keras.Model, y: Any, loss: Loss | None) -> Callable[[Any, Any], tf.Tensor] | None:
    """Return the function of labels and outputs; None without labels."""
    if y is None:
        return None
    chosen = loss if loss is not None else getattr(model, "loss", None)
    if isinstance(chosen, (list, tuple, dict)) or chosen is None:
        raise InvalidArgumentError(
            "sensitivity: give loss=..., a function of labels and outputs or a Keras loss: the model is not "
            "compiled with a single one."
        )
    return keras.losses.get(chosen)
