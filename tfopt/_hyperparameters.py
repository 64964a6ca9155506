"""Hyperparameters, declared once: the annotation of a constructor's argument says its range.

    @checked
    def __init__(self, learning_rate: LearningRate = 1e-3, beta_1: Fraction = 0.98, ...) -> None:

`Fraction` is `Annotated[float, check]`: to readers and to type checkers a float. `check(owner, name, value)`
returns the value to keep or raises `InvalidArgumentError`. `checked` calls the checks of a constructor,
`check_fields` those of a dataclass, and `with_arguments` makes a config from the names of the arguments.
`None` passes where the annotation allows it: `NonNegative | None`.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import typing
from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, Any, TypeVar

from tfopt import _validation

Check = Callable[[str, str, Any], Any]
Constructor = TypeVar("Constructor", bound=Callable[..., None])

NonPositive = Annotated[float, partial(_validation.number, at_most=0)]
NonNegative = Annotated[float, partial(_validation.number, at_least=0)]
Positive = Annotated[float, partial(_validation.number, above=0)]
Fraction = Annotated[float, partial(_validation.number, at_least=0, below=1)]
"""In [0, 1): what a running average keeps."""
Share = Annotated[float, partial(_validation.number, above=0, at_most=1)]
"""In (0, 1]."""
Inside = Annotated[float, partial(_validation.number, above=0, below=1)]
"""In (0, 1)."""
AboveOne = Annotated[float, partial(_validation.number, above=1)]

Count = Annotated[int, partial(_validation.whole, at_least=1)]
CountFromZero = Annotated[int, partial(_validation.whole, at_least=0)]
Steps = Annotated[int, partial(_validation.steps, at_least=1)]
"""As `Count`, but `1e3` is one."""
StepsFromZero = Annotated[int, partial(_validation.steps, at_least=0)]

Flag = Annotated[bool, _validation.flag]
"""`True` or `False`, and nothing that counts as one of them."""


def one_of(*choices: Any) -> Check:
    """Return the check that a value is one of `choices`: `mode: Annotated[str, one_of("sam", "asam")]`."""
    return partial(_validation.choice, choices=choices)


def checked(constructor: Constructor) -> Constructor:
    """Return an `__init__` that keeps what the checks in its annotations return for its arguments.

    Defaults are taken as they are. Messages name the class of the object.
    """
    parameters = [*inspect.signature(constructor).parameters.values()][1:]
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(constructor)
    def checking(self: Any, *args: Any, **kwargs: Any) -> None:
        if len(args) <= len(positional):  # of more, Python itself complains
            keep = partial(_keep, type(self).__name__, _checks(constructor))
            args = tuple(keep(name, value) for name, value in zip(positional, args, strict=False))
            kwargs = {name: keep(name, value) for name, value in kwargs.items()}
        constructor(self, *args, **kwargs)

    setattr(checking, _NAMES, tuple(p.name for p in parameters if p.kind is not p.VAR_KEYWORD))
    return typing.cast(Constructor, checking)


def check_fields(owner: str, instance: Any) -> None:
    """Keep what the checks in the annotations of a dataclass return for the fields of `instance`."""
    kind: type = type(instance)
    for name, check in _checks(kind).items():
        # A frozen dataclass, too, is still being made.
        object.__setattr__(instance, name, check(owner, name, getattr(instance, name)))


def with_arguments(instance: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Return `config` and the arguments of `checked` constructors that it lacks: attributes of their names.

    A subclass whose constructor is not `checked` adds its arguments in a `get_config` of its own.
    """
    constructors = [vars(kind).get("__init__") for kind in reversed(type(instance).__mro__)]
    names: Iterable[str] = itertools.chain(*(getattr(each, _NAMES, ()) for each in constructors))
    own = {name: getattr(instance, name) for name in names if name not in config}
    # Keras loads a tuple as a list.
    return config | {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}


_NAMES = "_tfopt_arguments"


def _keep(owner: str, checks: dict[str, Check], name: str, value: Any) -> Any:
    return checks[name](owner, name, value) if name in checks else value


@functools.cache
def _checks(annotated: Any) -> dict[str, Check]:
    """Return argument -> check of a constructor, or field -> check of a class."""
    # Not before the first call: annotations name what the module defines only later.
    hints = typing.get_type_hints(annotated, include_extras=True)
    return {name: check for name, hint in hints.items() if (check := _check(hint))}


def _check(hint: Any) -> Check | None:
    """Return the check in `Annotated[float, check]` or `Annotated[float, check] | None`."""
    if typing.get_origin(hint) is Annotated:
        return hint.__metadata__[0]
    among = [check for each in typing.get_args(hint) if (check := _check(each))]
    return partial(_unless_none, among[0]) if among else None


def _unless_none(check: Check, owner: str, name: str, value: Any) -> Any:
    return None if value is None else check(owner, name, value)
