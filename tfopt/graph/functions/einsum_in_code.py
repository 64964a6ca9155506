"""Equations of einsum as people write them, in code that is traced.

`keras.ops.einsum` takes blanks and capitals of tensors, but not of symbolic tensors: there it knows small
letters alone.
"""

from __future__ import annotations

import string
from typing import Any

import keras


def in_small_letters(equation: str) -> str:
    """Return an equation without blanks, of the letters a, b, c ... in the order of its own.

    The order stays, for it is that of the result's axes where an equation names none.

    Example:
        >>> in_small_letters("bhwc, bHWc -> bhwHW")
        'cefd,cabd->cefab'
    """
    letters = sorted({letter for letter in equation if letter.isalpha()})
    small = dict(zip(letters, string.ascii_lowercase, strict=False))
    return "".join(small.get(each, each) for each in equation if not each.isspace())


def einsum(equation: str, *operands: Any, **kwargs: Any) -> Any:
    """Return what `keras.ops.einsum` does, of symbolic tensors too."""
    return keras.ops.einsum(in_small_letters(equation), *operands, **kwargs)
