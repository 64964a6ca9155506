"""Recipes: what a model, its data and its stages are, in one function of hyperparameters.

`Recipe` needs Keras and is imported when it is first used: finding and reading a recipe's file does not.
"""

from typing import Any

__all__ = ["Recipe"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tfopt.recipe.recipe import Recipe

    globals()[name] = Recipe
    return Recipe
