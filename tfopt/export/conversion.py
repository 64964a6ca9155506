"""What is decided about a file before a graph is made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from tfopt.export.options import Options
from tfopt.export.schemes import Engine


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How a prepared model becomes a file.

    Attributes:
        options: the arguments of `to_tflite`.
        scheme: the name of the scheme of the file.
        integer: whether activations become integers, in one layer at least.
        quantized: whether the model is quantization-aware; and `rounded`: whether the file rounds as it does.
        input_type, output_type: the dtypes of the file's inputs and outputs, where the model quantizes them.
        settings: layer path -> the name of its scheme, for litert-quantizer.
        paths: path in the model that is written -> path in the file's names, where these differ.
        samples: one array an input, of shape (batches, batch_size, ...), to calibrate with.
        batch_size: how many samples the file takes at once.
        left_open: the inputs whose sizes of None stay open.
        named_after: the model after which inputs, outputs and layers are called.
    """

    options: Options
    scheme: str
    integer: bool
    quantized: bool
    rounded: bool
    input_type: str
    output_type: str
    settings: Mapping[str, str]
    samples: list[np.ndarray] | None
    batch_size: int
    left_open: Collection[str]
    named_after: keras.Model | None
    paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> Engine:
        """Who turns floats into integers: of a quantization-aware model its own graph."""
        return "keras" if self.quantized else self.options.writer

    @property
    def by_litert_quantizer(self) -> bool:
        """Whether litert-quantizer makes the integers; else TensorFlow's converter makes the whole file."""
        return not self.quantized and self.options.writer != "converter"

    @property
    def trained(self) -> bool:
        """Whether the model knows the ranges of its activations, and the file has them in integers."""
        return self.quantized and self.integer

    @property
    def sample(self) -> list[np.ndarray] | None:
        """One batch of the samples, one array an input."""
        return None if self.samples is None else [array[0] for array in self.samples]

    @property
    def advice(self) -> str:
        """What to do where LiteRT cannot run the file; `{layer}` is replaced by the layer."""
        if self.left_open:
            return "It was run with open sizes: give all of them, input_shapes={{name: (..., ...)}}."
        if self.quantized:
            return "Leave it in float: tfopt.quantize_aware(model, rules={{{layer!r}: None}})."
        if self.integer:
            return (
                "Leave it in float: to_tflite(..., rules={{{layer!r}: None}}), or calibrate "
                "tfopt.quantize_aware(model) and export that."
            )
        return "Compute it of other operations."
