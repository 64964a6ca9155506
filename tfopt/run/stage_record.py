"""The record of one stage of a run: an entry of the list `stages` in `run.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfopt.run.json_record import OMITTED, Record, key


@dataclass(frozen=True, kw_only=True)
class LearningRateRecord(Record):
    """The highest learning rate of a stage.

    Attributes:
        used: by the stage.
        compiled: the one of the run.
    """

    used: float | None = None
    compiled: float | None = None


@dataclass(frozen=True, kw_only=True)
class LatencyRecord(Record):
    """The latency of a stage's file.

    Attributes:
        seconds: the median of one call.
        baseline_seconds: that of the first stage's file, measured by turns in the same process.
        ratio: of the two.
    """

    seconds: float | None = None
    baseline_seconds: float | None = None
    ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class ClassRecord(Record):
    """How well one class is recognized on the test split.

    Attributes:
        name: of the class.
        samples: how many the split has.
        accuracy: on them; `None` without any.
    """

    name: str = field(default="", metadata=key("class"))
    samples: int = 0
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class FileRecord(Record):
    """A file as a stage wrote it: its size and SHA-256."""

    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class WeightsRecord(Record):
    """The weights of a file, read back from it.

    Attributes:
        sparsity: the share of zeros, in [0, 1].
        clusters: the most different values that a tensor has.
        sparse_bytes: the size of the file with weights in TFLite's sparse encoding where that is smaller.
        entropy_bytes: the size of the file with weights at their Shannon bound.
    """

    sparsity: float | None = None
    clusters: int | None = None
    sparse_bytes: int | None = None
    entropy_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class TensorRecord(Record):
    """An input or output of a TFLite file: real = scale * (integer - zero_point).

    Attributes:
        name: of the tensor.
        shape: its sizes; `None` for one that may be any.
        dtype: such as `"int8"`.
        scale, zero_point: `None` of a float tensor.
    """

    name: str = ""
    shape: tuple[int | None, ...] = ()
    dtype: str | None = None
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True, kw_only=True)
class ContractRecord(Record):
    """What whoever runs a TFLite file has to give it, and gets.

    Attributes:
        inputs, outputs: the tensors of the file.
        preprocessing: what was done to the inputs before.
        class_names: in the order of the outputs; `None` without classes.
    """

    inputs: tuple[TensorRecord, ...] = ()
    outputs: tuple[TensorRecord, ...] = ()
    preprocessing: str | None = None
    class_names: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class OperatorRecord(Record):
    """How often a file has an operator, and in which types it computes."""

    count: int = 0
    types: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FloatOperatorRecord(Record):
    """An operator that a quantized file left in float, and the layer that it came from."""

    operator: str = ""
    layer: str | None = None


@dataclass(frozen=True, kw_only=True)
class FindingRecord(Record):
    """Something that is wrong with a part of an input or output; see `tfopt.export.runtime.findings`."""

    tensor: str = ""
    reason: str = ""
    way_out: str = ""
    channels: tuple[int, ...] = ()
    fails: bool = True
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class VerificationRecord(Record):
    """A file's outputs against its model's, the worst of all outputs; see `tfopt.export` for the measures."""

    top1_agreement: float | None = None
    max_lsb: float | None = None
    mean_lsb: float | None = None
    snr_db: float | None = None
    max_error: float | None = None
    samples: int | None = None
    passed: bool = False
    failures: tuple[str, ...] = ()
    tolerance: Mapping[str, float | None] = field(default_factory=dict)
    findings: tuple[FindingRecord, ...] = ()
    operators: Mapping[str, OperatorRecord] = field(default_factory=dict)
    float_operators: tuple[FloatOperatorRecord, ...] = ()


_NULL_WHERE_MEASURED = ("verification", "model", "classes", "at_chance")
"""Keys of a stage that was measured which are null where there is nothing to say."""


@dataclass(frozen=True, kw_only=True)
class StageRecord(Record):
    """One stage of a run: what it was told, and what came out once it is complete.

    Attributes:
        number: counted from 1, the same as in the name of its folder; 0 for the model as given.
        name: such as `"prune"`.
        title: what the report calls the model that it made.
        config: what `Stage.get_config` returned.
        status: `"pending"`, `"running"`, `"complete"`, `"failed"`, `"interrupted"` or, of a training that
            a search has paused, `"stopped"`.
        seconds: how long it took.
        learning_rate: at which it trained; `None` where it did not or nobody can say.
        data_wait: the share of its last training's time in which the steps waited for data, in [0, 1]; `None`
            where it did not train or that is not measured.
        verification: of the file, of a stage that exports one.
        model, file: paths relative to the run's folder of the Keras model and of the TFLite file; a stage
            that exports has no model.
        sparsity: the share of zeros, in [0, 1].
        contract: of a file that is exported.
        metrics, validation: metric -> value on the test and the validation split.
        classes: of the test split; `None` where no class is chosen.
        at_chance: whether the model is no better than a guess; `None` where nobody can say.
        bytes, compressed_bytes: of the file, as it is and compressed.
        weights: of the file.
        latency: of the file.
        macs: multiplications with addition for one sample.
        params: weights of a float model; `None` of a quantization-aware one, which has ranges among them.
        history: key of the logs -> a value for each epoch.
        files: path -> size and digest; `None` of an older tfopt, which did not record them.
        inputs: the digest of all that the result depends on; `None` in a run that shares no stages.
        taken_from: the name of the folder of the run that the stage was taken from, in the same folder of
            runs; `None` of a stage that the run did itself. `seconds` are then those of the other run.
        extra: what else the stage put into `context.record`.
    """

    number: int = 0
    name: str = ""
    title: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    status: str = "complete"
    seconds: float = 0.0
    learning_rate: LearningRateRecord | None = field(default=None, metadata=OMITTED)
    data_wait: float | None = field(default=None, metadata=OMITTED)
    verification: VerificationRecord | None = field(default=None, metadata=OMITTED)
    model: str | None = field(default=None, metadata=OMITTED)
    file: str | None = field(default=None, metadata=OMITTED)
    sparsity: float | None = field(default=None, metadata=OMITTED)
    contract: ContractRecord | None = field(default=None, metadata=OMITTED)
    metrics: Mapping[str, float | None] | None = field(default=None, metadata=OMITTED)
    validation: Mapping[str, float | None] | None = field(default=None, metadata=OMITTED)
    classes: tuple[ClassRecord, ...] | None = field(default=None, metadata=OMITTED)
    at_chance: bool | None = field(default=None, metadata=OMITTED)
    bytes: int | None = field(default=None, metadata=OMITTED)
    compressed_bytes: int | None = field(default=None, metadata=OMITTED)
    weights: WeightsRecord | None = field(default=None, metadata=OMITTED)
    latency: LatencyRecord | None = field(default=None, metadata=OMITTED)
    macs: int | None = field(default=None, metadata=OMITTED)
    params: int | None = field(default=None, metadata=OMITTED)
    history: Mapping[str, tuple[float | None, ...]] | None = field(default=None, metadata=OMITTED)
    files: Mapping[str, FileRecord] | None = field(default=None, metadata=OMITTED)
    inputs: str | None = field(default=None, metadata=OMITTED)
    taken_from: str | None = field(default=None, metadata=OMITTED)

    @property
    def epochs(self) -> int:
        """How many epochs are in the history."""
        return max((len(values) for values in (self.history or {}).values()), default=0)

    @property
    def is_complete(self) -> bool:
        """Whether the stage ended as it should."""
        return self.status == "complete"

    @property
    def exports(self) -> bool:
        """Whether the stage made a file in place of a Keras model."""
        return self.model is None and self.file is not None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `run.json`."""
        found = super().to_json()
        return dict.fromkeys(_NULL_WHERE_MEASURED) | found if self.file is not None else found
