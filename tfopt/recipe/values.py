"""Setting the hyperparameters that a recipe asks for, at the moment when it asks for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, TypeVar

import keras_tuner

from tfopt.errors import RecipeError


class Declares(Protocol):
    """What can tell which hyperparameters it asks for."""

    def declare(self) -> keras_tuner.HyperParameters:
        """Return them."""


R = TypeVar("R", bound=Declares)


def with_values(
    make: Callable[[keras_tuner.HyperParameters], R],
    values: Mapping[str, Any],
    file: str,
    optional: Collection[str] = (),
) -> R:
    """Return the recipe with these values for its hyperparameters; those of `optional` may be none of it.

    The recipe never sees another value: a default may be a large download, and what it asks for may depend on
    a value (a hyperparameter of an optimizer that another one chooses).

    Raises:
        RecipeError: a value is for no hyperparameter, or not in its range.
    """
    given = GivenValues(values, file)
    recipe = make(given)
    asked = {parameter.name for parameter in recipe.declare().space}
    unknown = [name for name in values if name not in asked and name not in optional]
    if unknown:
        raise RecipeError(
            f"{file} has no hyperparameter {', '.join(map(repr, unknown))}; it has "
            f"{', '.join(parameter.name for parameter in given.space) or 'none'}."
        )
    return recipe


class GivenValues(keras_tuner.HyperParameters):
    """Hyperparameters of which some have values that a user gave.

    Args:
        values: hyperparameter -> value, or the text of one.
        file: of the recipe, for errors.
    """

    def __init__(self, values: Mapping[str, Any], file: str) -> None:
        super().__init__()
        self._given, self._file = values, file

    def Int(self, *args: Any, **kwargs: Any) -> Any:
        """As keras-tuner's."""
        return self._asked(super().Int, args, kwargs)

    def Float(self, *args: Any, **kwargs: Any) -> Any:
        """As keras-tuner's."""
        return self._asked(super().Float, args, kwargs)

    def Boolean(self, *args: Any, **kwargs: Any) -> Any:
        """As keras-tuner's."""
        return self._asked(super().Boolean, args, kwargs)

    def Choice(self, *args: Any, **kwargs: Any) -> Any:
        """As keras-tuner's."""
        return self._asked(super().Choice, args, kwargs)

    def Fixed(self, *args: Any, **kwargs: Any) -> Any:
        """As keras-tuner's."""
        return self._asked(super().Fixed, args, kwargs)

    def _asked(self, ask: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Return what is given for a hyperparameter; where it is new and nothing is given, its default."""
        known = len(self.space)
        value = ask(*args, **kwargs)
        for parameter in self.space[known:]:
            if parameter.name in self._given:
                self.values[parameter.name] = _convert(self._given[parameter.name], parameter, self._file)
                return ask(*args, **kwargs)
        return value


def _convert(value: Any, parameter: Any, file: str) -> Any:
    """Return a value, or the text of one, as a hyperparameter takes it."""
    parse, allowed = _KINDS[type(parameter).__name__]
    try:
        return parse(value, parameter)
    except (ValueError, KeyError):
        raise RecipeError(
            f"{file}: the hyperparameter {parameter.name!r} takes {allowed(parameter)}, got {value!r}."
        ) from None


def _number(kind: type) -> Callable[[Any, Any], Any]:
    def parse(value: Any, parameter: Any) -> Any:
        number = kind(str(value))
        if not parameter.min_value <= number <= parameter.max_value:
            raise ValueError
        return number

    return parse


def _one_of(value: Any, parameter: Any) -> Any:
    return {str(choice): choice for choice in parameter.values}[str(value)]


_KINDS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], str]]] = {
    "Int": (_number(int), lambda p: f"an integer from {p.min_value} to {p.max_value}"),
    "Float": (_number(float), lambda p: f"a number from {p.min_value} to {p.max_value}"),
    "Boolean": (
        lambda value, _: {"true": True, "false": False}[str(value).lower()],
        lambda _: "true or false",
    ),
    "Choice": (_one_of, lambda p: f"one of {', '.join(map(str, p.values))}"),
    "Fixed": (lambda value, p: {str(p.value): p.value}[str(value)], lambda p: f"{p.value!r} only"),
}
"""Class of a hyperparameter -> how its values are read, and which they are."""
