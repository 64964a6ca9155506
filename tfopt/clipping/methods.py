"""The clipping methods by name."""

import dataclasses
from collections.abc import Callable

from tfopt.clipping.adaptive import adaptive
from tfopt.clipping.global_norm import global_norm
from tfopt.clipping.norm import norm
from tfopt.clipping.value import value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """A clipping function and the threshold that is a sensible start for it."""

    clip: Callable[..., list]
    threshold: float


METHODS = {
    "value": Method(clip=value, threshold=1.0),
    "norm": Method(clip=norm, threshold=1.0),
    "global_norm": Method(clip=global_norm, threshold=1.0),
    "adaptive": Method(clip=adaptive, threshold=0.01),
}
