from dataclasses import dataclass

import pytest

from tfopt.errors import InvalidArgumentError, StageOrderError
from tfopt.stages import (
    Cluster,
    Distill,
    ExportTFLite,
    LowRank,
    Prune,
    PruneChannels,
    QuantizeAware,
    Tie,
    Train,
)
from tfopt.stages.order import RULES, check_order


@dataclass(frozen=True)
class MyExport(ExportTFLite):
    pass


CHANNELS, RANKS, TIED = PruneChannels(0.5), LowRank(0.5), Tie({"block*": "block"})

ALLOWED = [
    [Train()],
    [TIED, Train(), Prune(), QuantizeAware()],
    [ExportTFLite()],
    [Train(), Prune(), QuantizeAware(), ExportTFLite()],
    [Prune(), Train(), Prune(), QuantizeAware()],
    [Train(), CHANNELS, RANKS, Prune(), Cluster(), QuantizeAware(), ExportTFLite()],
    [Cluster(), Train(), Distill()],
    [Prune(), Distill(), Train(teacher="float")],
    [Train(teacher="other.keras")],
]

FORBIDDEN = [
    ([ExportTFLite(), Train()], r"Train \(stage 2\) cannot come after ExportTFLite \(stage 1\).*comes last"),
    ([ExportTFLite(), ExportTFLite()], "comes last"),
    ([Train(), QuantizeAware(), Prune()], r"Prune \(stage 3\).*QuantizeAware \(stage 2\).*float weights"),
    ([QuantizeAware(), Train(), QuantizeAware()], r"QuantizeAware \(stage 3\).*already"),
    ([QuantizeAware(), Cluster()], r"Cluster \(stage 2\).*put Cluster before QuantizeAware"),
    (
        [QuantizeAware(), CHANNELS],
        "ranges that were learned.*put PruneChannels before QuantizeAware",
    ),
    ([Prune(), CHANNELS], "zeros were chosen.*put PruneChannels before Prune"),
    ([Cluster(), CHANNELS], "put PruneChannels before Cluster"),
    ([RANKS, CHANNELS], "put PruneChannels before LowRank"),
    ([Prune(), TIED], "put Tie before Prune"),
    ([CHANNELS, TIED], "put Tie before PruneChannels"),
    ([Cluster(), TIED], "put Tie before Cluster"),
    ([RANKS, TIED], "put Tie before LowRank"),
    ([QuantizeAware(), TIED], "put Tie before QuantizeAware"),
    ([CHANNELS, Train(), CHANNELS], "keep one of the two, with iterations=2"),
    (
        [Cluster(engine="tfmot"), Train()],
        "clusters dissolve; put Train before Cluster, or take engine='keras'",
    ),
    (
        [Cluster(engine="tfmot"), Distill()],
        "held by nothing once it is stripped, .*put Distill before Cluster",
    ),
    (
        [QuantizeAware(), Distill()],
        r"learns from a teacher while it is made; write QuantizeAware\(teacher=...\)",
    ),
    ([Prune(), RANKS], "factors of a kernel have none of its zeros; put LowRank before Prune"),
    ([Cluster(), RANKS], "factors of a kernel have none of its clusters; put LowRank before Cluster"),
    (
        [QuantizeAware(), RANKS],
        "factors are found for float kernels, .*put LowRank before QuantizeAware",
    ),
    ([Cluster(), Prune()], "zeros in the midst of clusters .*clusters dissolve; put Prune before Cluster"),
    ([MyExport(), Train()], r"after MyExport \(stage 1\)"),
]


@pytest.mark.parametrize("stages", ALLOWED)
def test_allowed(stages):
    check_order(stages)


@pytest.mark.parametrize(("stages", "message"), FORBIDDEN)
def test_forbidden(stages, message):
    with pytest.raises(StageOrderError, match=message):
        check_order(stages)


@pytest.mark.parametrize("stages", [[Distill()], [Train(), Distill()], [Train(teacher="float")]])
def test_a_model_cannot_learn_from_itself(stages):
    with pytest.raises(StageOrderError, match="cannot learn from the float model: it is that very model"):
        check_order(stages)
    check_order([Prune(), *stages])  # as the message says


def test_every_rule_is_tested():
    for rule in RULES:
        assert any(rule.reason.split(";")[0].split(",")[0] in _message(stages) for stages, _ in FORBIDDEN), (
            rule
        )


def _message(stages):
    with pytest.raises(StageOrderError) as caught:
        check_order(stages)
    return str(caught.value)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "at least one stage"),
        ([Train], r"Call it: Train\(\)"),
        (["train"], "Stage 1 must be a tfopt stage"),
    ],
)
def test_what_is_no_pipeline(stages, message):
    with pytest.raises(InvalidArgumentError, match=message):
        check_order(stages)
