"""Search over the hyperparameters of a recipe: `tfopt.search("recipes/digits.py", trials=30)`.

Importing it needs neither TensorFlow nor keras-tuner; searching does.
"""

import sys
from types import ModuleType
from typing import Any

from tfopt.search.recipe_search import SearchResult, search

__all__ = ["SearchResult", "search"]


class _CallableModule(ModuleType):
    # `tfopt.search` is both this package and the function that the user calls; importing a submodule binds
    # the package to that name, so the package itself must be callable.
    def __call__(self, *args: Any, **kwargs: Any) -> SearchResult:
        return search(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
