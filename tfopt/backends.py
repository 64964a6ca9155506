"""Who can do a stage: tfopt itself, or tensorflow-model-optimization through a bridge."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from tfopt import _validation
from tfopt.errors import InvalidArgumentError

KERAS, TFMOT = "keras", "tfmot"

_PACKAGES = {TFMOT: "tfopt.tfmot"}
"""Engine -> the package that has its functions, found by name since it stands above those that call it."""


def checked(owner: str, engine: str, options: Mapping[str, Any] | None) -> None:
    """Check an engine and the options for it.

    Raises:
        InvalidArgumentError: there is no such engine, or options for the one that takes none.
    """
    _validation.choice(owner, "engine", engine, (KERAS, *_PACKAGES))
    if engine == KERAS and options:
        raise InvalidArgumentError(
            f'{owner}: engine_options are for engine="tfmot", got {sorted(options)} with engine="keras". '
            "Leave them out."
        )


def other(
    owner: str, engine: str, options: Mapping[str, Any] | None, **ours: tuple[Any, Any]
) -> ModuleType | None:
    """Return the package that does the work in place of tfopt; None where tfopt does it.

    Args:
        owner: the function that is asked, for messages.
        engine: `"keras"` or `"tfmot"`.
        options: what the other engine alone understands.
        ours: argument -> (its value, its default) of those that tfopt alone understands.

    Raises:
        InvalidArgumentError: there is no such engine, or it does not know an argument.
    """
    checked(owner, engine, options)
    if engine == KERAS:
        return None
    for name, (value, default) in ours.items():
        if value != default:
            raise InvalidArgumentError(
                f"{owner}: engine={engine!r} does not know {name}={value!r}. Leave it {default!r}, or use "
                'engine="keras".'
            )
    return importlib.import_module(_PACKAGES[engine])
