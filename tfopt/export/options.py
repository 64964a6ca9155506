"""The arguments of `to_tflite` and of the stage `ExportTFLite`, checked before anything is converted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.export.schemes import ENGINES, Engine, scheme_of
from tfopt.quantization.scheme import SCHEMES

BLOCK_SIZES = (None, 32, 64, 128, 256)
ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {
        "min_max": "min_max_uniform_quantize",
        "mse": "MSE",
        "octav": "OCTAV",
        "gptq": "GPTQ",
        "oscar": "OSCAR",
        "hadamard": "DECOMPOSED_HADAMARD_ROTATION",
    }
)
"""How weights are rounded -> what litert-quantizer calls it."""
CORRECTIONS = ("cross_layer_equalization", "adaround", "bias_correction")
"""The corrections of a float model before it is quantized, in their order."""
BY_OWN_GRAPH = ("int8",)
"""The schemes that are written through a quantization-aware graph, unless arguments need another engine."""
NEVER_SPARSE = ("dynamic", "int4_weights")
"""The schemes whose fully connected layers and convolutions LiteRT does not run with sparse weights."""
NEED_DATA = ("gptq", "oscar", "adaround", "bias_correction")
"""The algorithms and corrections that need representative data."""


@dataclass(frozen=True, kw_only=True)
class WeightOptions:
    """How weights are brought onto their grid, in whatever scheme.

    Attributes:
        algorithm: one of `ALGORITHMS`.
        per_channel: whether each output channel has a scale of its own, or the whole kernel one.
        block_size: how many weights share a scale where a scheme has blocks: 32, 64, 128 or 256. Kernels
            whose rows it does not divide have a scale a channel; `None`: all have.

    Raises:
        InvalidArgumentError: a value is unknown.
    """

    algorithm: str = "min_max"
    per_channel: bool = True
    block_size: int | None = 32

    def __post_init__(self) -> None:
        _validation.choice("to_tflite", "algorithm", self.algorithm, ALGORITHMS)
        _validation.flag("to_tflite", "per_channel", self.per_channel)
        _validation.choice("to_tflite", "block_size", self.block_size, BLOCK_SIZES)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a model becomes a file.

    Attributes:
        scheme: the name of the scheme.
        rules: layer-path pattern -> the name of another scheme.
        engine: who writes the file; `None` is for `writer` to choose.
        weights: how weights are brought onto their grid.
        corrections: names in `CORRECTIONS`.
        float_where_faster: whether what the delegate does not take in int8 may compute in float.
        sparse: whether weights are encoded without their zeros.

    Raises:
        InvalidArgumentError: a value is unknown, or two do not go together.
    """

    scheme: str
    rules: Mapping[str, str | None] | None = None
    engine: str | None = None
    weights: WeightOptions = field(default_factory=WeightOptions)
    corrections: Sequence[str] = ()
    float_where_faster: bool = False
    sparse: bool = False

    def __post_init__(self) -> None:
        _validation.flag("to_tflite", "float_where_faster", self.float_where_faster)
        _validation.flag("to_tflite", "sparse", self.sparse)
        if self.sparse and self.scheme in NEVER_SPARSE:
            raise InvalidArgumentError(
                f"sparse=True does not go with the scheme {self.scheme!r}: LiteRT does not run sparse int8 "
                "weights where activations are rounded while it runs. Take 'int8_weights' or 'int8', or "
                "leave sparse out and compress the file."
            )
        for name in (self.scheme, *self.named_rules.values()):
            scheme_of(name)
        if isinstance(self.corrections, str):
            raise InvalidArgumentError(
                f"to_tflite: expected corrections to be a list of names, got {self.corrections!r}: write "
                f"[{self.corrections!r}]."
            )
        for name in self.corrections:
            _validation.choice("to_tflite", "corrections", name, CORRECTIONS)
        on_grid = [name for name in self.corrections if name in NEED_DATA]
        if on_grid and self.weights.algorithm != "min_max":
            raise InvalidArgumentError(
                f"{' and '.join(on_grid)} work for weights that are rounded to a grid up to the largest: "
                f"leave out algorithm={self.weights.algorithm!r}, or them."
            )
        if self.engine is None:
            return
        _validation.choice("to_tflite", "engine", self.engine, ENGINES)
        beyond = {"keras": self._beyond_keras, "converter": self._beyond_converter}.get(self.engine)
        if beyond:
            who = "engine='keras'" if self.engine == "keras" else "TensorFlow's converter"
            raise InvalidArgumentError(
                f"{who} cannot do {', '.join(beyond)}: leave engine out, or take engine='litert-quantizer'."
            )

    @property
    def named_rules(self) -> dict[str, str]:
        """The rules with the name of a scheme in each."""
        return {pattern: "float32" if name is None else name for pattern, name in (self.rules or {}).items()}

    @property
    def integer(self) -> bool:
        """Whether activations become integers, in one layer at least."""
        return any(scheme_of(name).integer for name in (self.scheme, *self.named_rules.values()))

    @property
    def needs_data(self) -> bool:
        """Whether something but a range of activations must see data."""
        return any(name in NEED_DATA for name in (self.weights.algorithm, *self.corrections))

    @property
    def grid(self) -> WeightOptions:
        """How weights are brought onto their grid: without blocks where it was made before."""
        made = any(name in NEED_DATA for name in self.corrections)
        return replace(self.weights, block_size=None) if made else self.weights

    @property
    def writer(self) -> Engine:
        """Who writes the file."""
        if self.engine is not None:
            return ENGINES[ENGINES.index(self.engine)]
        if self.scheme in BY_OWN_GRAPH and not self._beyond_keras:
            return "keras"
        return "litert-quantizer" if self._beyond_converter else "converter"

    @property
    def _beyond_keras(self) -> list[str]:
        """The arguments that a quantization-aware graph cannot do."""
        named = {name for name in (self.scheme, *self.named_rules.values()) if name != "float32"}
        return [f"the scheme {name!r}" for name in sorted(named - SCHEMES.keys())] + [
            f"algorithm={name!r}" for name in {self.weights.algorithm} - {"min_max"}
        ]

    @property
    def _beyond_converter(self) -> list[str]:
        """The arguments that the converter cannot do."""
        asked = {
            "rules": bool(self.rules),
            f"algorithm={self.weights.algorithm!r}": self.weights.algorithm != "min_max",
            "per_channel=False": not self.weights.per_channel,
            f"scheme={self.scheme!r}": scheme_of(self.scheme).converter is None,
        }
        return [name for name, wanted in asked.items() if wanted]
