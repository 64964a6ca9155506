"""Reading equations of einsum as people write them: blanks, capitals, an ellipsis, no output."""

from __future__ import annotations

import dataclasses
import string
from collections import Counter
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Equation:
    """The labels of the axes of each operand and of the result, one letter an axis.

    Args:
        operands: in their order.
        result: of the result.
    """

    operands: tuple[str, ...]
    result: str


def read(equation: str, ranks: Sequence[int]) -> Equation | None:
    """Return an equation with every axis spelled out; None where it does not fit, or takes a diagonal.

    Args:
        equation: as of `numpy.einsum`. Without `->`, the result has the labels that stand once, in order.
        ranks: of the operands.
    """
    left, arrow, result = "".join(equation.split()).partition("->")
    written = left.split(",")
    if len(written) != len(ranks):
        return None
    counts = [rank - len(operand.replace("...", "")) for operand, rank in zip(written, ranks, strict=True)]
    if any(
        count < 0 or (count and "..." not in operand) for operand, count in zip(written, counts, strict=True)
    ):
        return None
    free = [letter for letter in string.ascii_letters if letter not in equation]
    dots = "".join(free[: max(counts, default=0)])  # NumPy aligns them at the last
    operands = tuple(
        operand.replace("...", dots[len(dots) - count :])
        for operand, count in zip(written, counts, strict=True)
    )
    if arrow:
        result = result.replace("...", dots)
    else:
        once = Counter(letter for operand in written for letter in operand if letter.isalpha())
        result = dots + "".join(sorted(letter for letter, count in once.items() if count == 1))
    known = set("".join(operands))
    distinct = all(len(set(labels)) == len(labels) for labels in (*operands, result))
    return Equation(operands, result) if distinct and set(result) <= known else None
