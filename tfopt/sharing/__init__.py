"""Parameter sharing: several layers of a model become one that is called several times."""

from tfopt.sharing.plan import TiedLayers, planned
from tfopt.sharing.tie import tie

__all__ = ["TiedLayers", "planned", "tie"]
