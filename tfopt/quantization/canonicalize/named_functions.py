"""The functions that the registry of operators names."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import Any


def named(package: str, name: str) -> Callable[..., Any]:
    """Return the function `module.function` of `decompose` or `rewrite`."""
    function: Callable[..., Any] = pkgutil.resolve_name(f"{__package__}.{package}.{name}")
    return function
