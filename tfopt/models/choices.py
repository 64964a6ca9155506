"""The architecture as hyperparameters: what a search may choose of a family of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfopt.errors import InvalidArgumentError


def mobile_net_choices(
    hp: Any,
    *,
    width: Sequence[float] = (0.35, 0.25, 0.5, 0.75, 1.0),
    depth: Sequence[float] = (1.0, 0.34, 0.67, 1.34),
    resolution: Sequence[int] = (),
    block: Sequence[str] = ("inverted", "fused", "separable"),
    kernel_size: Sequence[int] = (3, 5),
    head: Sequence[int] = (0,),
) -> dict[str, Any]:
    """Return the arguments of `tfopt.models.mobile_net` that `hp` chooses.

    Each argument is what may be chosen, its first value the default; one value is taken as it is and becomes
    no hyperparameter, and none leaves the argument out.

    Args:
        hp: the `keras_tuner.HyperParameters` that the `build(hp)` of a recipe gets.
        width, depth, resolution, block, kernel_size, head: see `tfopt.models.mobile_net`. By default there is
            no last convolution, which in small models is the most of their weights.

    Raises:
        InvalidArgumentError: `hp` chooses nothing, or an argument is no list of values.

    Example:
        ```python
        def build(hp):
            chosen = tfopt.models.mobile_net_choices(hp, resolution=(96, 64, 128))
            return tfopt.Recipe(
                model=lambda data: tfopt.models.mobile_net(data.input_shape, data.num_classes, **chosen), ...
            )
        ```
    """
    values = {
        "width": width,
        "depth": depth,
        "resolution": resolution,
        "block": block,
        "kernel_size": kernel_size,
        "head": head,
    }
    return _chosen("mobile_net_choices", hp, values)


def res_net_choices(
    hp: Any,
    *,
    width: Sequence[int] = (16, 8, 24, 32),
    depth: Sequence[int] = (1, 2, 3),
    stages: Sequence[int] = (3, 2, 4),
    resolution: Sequence[int] = (),
    block: Sequence[str] = ("basic", "bottleneck", "separable"),
) -> dict[str, Any]:
    """Return the arguments of `tfopt.models.res_net` that `hp` chooses; see `mobile_net_choices`.

    Args:
        hp: the `keras_tuner.HyperParameters` that the `build(hp)` of a recipe gets.
        width, depth, stages, resolution, block: see `tfopt.models.res_net`.

    Raises:
        InvalidArgumentError: `hp` chooses nothing, or an argument is no list of values.
    """
    values = {"width": width, "depth": depth, "stages": stages, "resolution": resolution, "block": block}
    return _chosen("res_net_choices", hp, values)


def _chosen(owner: str, hp: Any, values: dict[str, Sequence[Any]]) -> dict[str, Any]:
    if not callable(getattr(hp, "Choice", None)):
        raise InvalidArgumentError(
            f"{owner}: expected hp to be the keras_tuner.HyperParameters that build(hp) gets, got {hp!r}."
        )
    for name, allowed in values.items():
        if not isinstance(allowed, list | tuple):
            raise InvalidArgumentError(
                f"{owner}: expected {name} to be a list of the values to choose among, such as "
                f"[{allowed!r}], got {allowed!r}."
            )
    return {
        name: allowed[0] if len(allowed) == 1 else hp.Choice(name, list(allowed), default=allowed[0])
        for name, allowed in values.items()
        if allowed
    }
