"""The stages of a pipeline: small, each calls the package that knows how."""

from tfopt.stages.base import Context, Stage, from_config
from tfopt.stages.cluster import Cluster
from tfopt.stages.distill import Distill
from tfopt.stages.export_tflite import ExportTFLite
from tfopt.stages.low_rank import LowRank
from tfopt.stages.prune import Prune
from tfopt.stages.prune_channels import PruneChannels
from tfopt.stages.quantize_aware import QuantizeAware
from tfopt.stages.tie import Tie
from tfopt.stages.train import Train

__all__ = [
    "Cluster",
    "Context",
    "Distill",
    "ExportTFLite",
    "LowRank",
    "Prune",
    "PruneChannels",
    "QuantizeAware",
    "Stage",
    "Tie",
    "Train",
    "from_config",
]
