"""The clipping methods by name."""

import dataclasses
from collections.abc import Callable

from tfopt.clipping.adaptive import adaptive
from tfopt.clipping.autoclip import AutoClip
from tfopt.clipping.block_rms import block_rms
from tfopt.clipping.global_norm import global_norm
from tfopt.clipping.norm import norm
from tfopt.clipping.stateful import StatefulClip
from tfopt.clipping.value import value
from tfopt.clipping.zclip import ZClip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """A clipping method and the threshold that is a sensible start for it.

    Attributes:
        clip: `(gradients, variables, threshold) -> gradients`, of a method without memory.
        stateful: of a method with one: a dataclass of its options; see `StatefulClip`.
        threshold: the default.
        largest: the largest threshold that makes sense.
    """

    clip: Callable[..., list] | None = None
    stateful: Callable[..., StatefulClip] | None = None
    threshold: float = 1.0
    largest: float = float("inf")

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that `stateful` takes."""
        if self.stateful is None:
            return ()
        return tuple(field.name for field in dataclasses.fields(self.stateful))  # type: ignore[arg-type]


METHODS = {
    "value": Method(clip=value),
    "norm": Method(clip=norm),
    "global_norm": Method(clip=global_norm),
    "adaptive": Method(clip=adaptive, threshold=0.01),
    "block_rms": Method(clip=block_rms),
    "autoclip": Method(stateful=AutoClip, threshold=10.0, largest=100.0),
    "zclip": Method(stateful=ZClip, threshold=2.5),
}
