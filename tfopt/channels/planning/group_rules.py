"""What the rules of a user say of groups: rules name layers, and the layers of a group go together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tfopt import _validation
from tfopt.channels.groups import Dependencies
from tfopt.channels.planning.named_groups import named_groups
from tfopt.errors import InvalidArgumentError
from tfopt.rules import resolve

logger = logging.getLogger(__name__)

_DEFAULT: Any = object()


def makers(dependencies: Dependencies) -> dict[str, list[str]]:
    """Return group name -> the paths of the layers that make its units, in the order of the model."""
    groups = named_groups(dependencies)
    owner = {int(unit): name for name, group in groups.items() for unit in group.units}
    found: dict[str, dict[str, None]] = {name: {} for name in groups}
    for part in dependencies.slices:
        if part.made:
            for unit in {*part.units[part.units >= 0].tolist()}:
                found[owner[unit]][part.layer] = None
    return {name: list(layers) for name, layers in found.items()}


def group_settings(
    dependencies: Dependencies, rules: Mapping[str, float | None] | None
) -> dict[str, float | None]:
    """Return name -> share of the units to remove, of the groups that rules name; None for one that stays.

    Args:
        dependencies: of the model.
        rules: layer path pattern -> share in [0, 1), or None to leave the channels that a layer makes.

    Raises:
        InvalidArgumentError: a rule matches nothing, its share is out of range, it names a layer whose
            channels cannot be removed, or two rules give different shares to layers that share channels.
    """
    made = makers(dependencies)
    paths = [*dict.fromkeys([path for layers in made.values() for path in layers] + [*dependencies.frozen])]
    settings = resolve(rules, paths, _DEFAULT)
    for path, setting in settings.items():
        if setting is _DEFAULT or setting is None:
            continue
        _validation.number(
            "prune_channels", f"the share that the rules give to {path!r}", setting, at_least=0, below=1
        )
        if path in dependencies.frozen and not any(path in layers for layers in made.values()):
            raise InvalidArgumentError(
                f"prune_channels: a rule gives {path!r} the share {setting:g}, and its channels all stay: "
                f"{dependencies.frozen[path]}. Take the rule out, or give it None."
            )
    told = {
        name: {path: settings[path] for path in layers if settings[path] is not _DEFAULT}
        for name, layers in made.items()
    }
    return {name: _setting(shares) for name, shares in told.items() if shares}


def _setting(told: Mapping[str, float | None]) -> float | None:
    """Return the share that a group gets of the rules on its layers."""
    for path, setting in told.items():
        logger.info("A rule on %s: %s", path, "left whole" if setting is None else f"share {setting:g}")
    if None in told.values():
        return None
    if len(set(told.values())) > 1:
        named = ", ".join(f"{path!r} {setting:g}" for path, setting in told.items())
        raise InvalidArgumentError(
            f"prune_channels: layers whose channels are added to each other lose the same ones, and the "
            f"rules give them different shares: {named}. Give them one share."
        )
    return next(iter(told.values()))
