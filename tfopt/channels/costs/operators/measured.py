"""Measuring operators: each kind of a file once, alone, at several sizes."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tfopt import measure
from tfopt.channels.costs.axis_sizes import AxisSizes
from tfopt.channels.costs.operators.latency_table import LEVELS, ONE, LatencyTable, OperatorTimes
from tfopt.channels.costs.operators.matched import MatchedOperator
from tfopt.channels.costs.operators.single_operator import single_operator
from tfopt.export.flatbuffer.fields import type_name
from tfopt.export.runtime.first_run import failure_of

logger = logging.getLogger(__name__)

_TURNS, _WARMUP = 5, 1
_LIKED = 8
"""Sizes that are measured are multiples of this where they can be: others may be slower than wider ones."""


def latency_table(operators: Sequence[MatchedOperator], sizes: AxisSizes, seconds: float) -> LatencyTable:
    """Return the times of the operators of a file.

    Args:
        operators: of the file.
        sizes: the axes of the model.
        seconds: what the whole file takes. Where its operators alone take more, each one's share of that is
            what it costs to call LiteRT.
    """
    whole = sizes.at_widths(np.array([len(group.units) for group in sizes.groups]))
    known: dict[Hashable, np.ndarray] = {}
    found = []
    for operator in operators:
        rows, led_by = _main_rows(operator, whole, sizes)
        levels = np.array([_levels(1 if row == ONE else int(whole[row])) for row in rows])
        key = (_signature(operator, rows), levels.tobytes())
        if key not in known:
            known[key] = _times(operator, rows, led_by, whole, levels)
        found.append(OperatorTimes(rows, levels, known[key]))
    logger.info("measured %d kinds among %d operators", len(known), len(operators))
    alone = sum(float(each.seconds[-1, -1]) for each in found)
    least = min(float(each.seconds.min()) for each in found)
    call = min(max(0.0, (alone - seconds) / len(found)), least)
    return LatencyTable([OperatorTimes(each.rows, each.levels, each.seconds - call) for each in found])


def _main_rows(
    operator: MatchedOperator, whole: np.ndarray, sizes: AxisSizes
) -> tuple[tuple[int, int], dict[int, int]]:
    """Return the rows that the time of an operator is a function of, and which of these each row goes with.

    Rows of the same groups change together, as the channels before and after a Flatten. What depends on
    more than two kinds of rows, such as a concatenation, is taken for a function of its largest alone.
    """
    kinds: dict[tuple[int, ...], list[int]] = {}
    for row in operator.rows:
        kinds.setdefault(tuple(sizes.per_group[[row]].indices.tolist()), []).append(row)
    leading = [max(rows, key=lambda row: whole[row]) for rows in kinds.values()]
    if len(leading) > 2:
        leading = [max(leading, key=lambda row: whole[row])]
        led_by = dict.fromkeys(operator.rows, leading[0])
    else:
        led_by = {row: lead for lead, rows in zip(leading, kinds.values(), strict=True) for row in rows}
    first, second = (*leading, ONE, ONE)[:2]
    return (first, second), led_by


def _levels(size: int) -> list[int]:
    """Return the sizes that are measured, rising; the last is `size`, and what is below 1 stands for 1."""
    wanted = {max(1, size // 4), max(1, size // 2), size}
    if size >= 4 * _LIKED:
        wanted = {-(-each // _LIKED) * _LIKED for each in wanted if each < size} | {size}
    levels = sorted(wanted)
    return [*(levels[0] - missing for missing in range(LEVELS - len(levels), 0, -1)), *levels]


def _times(
    operator: MatchedOperator,
    rows: tuple[int, int],
    led_by: dict[int, int],
    whole: np.ndarray,
    levels: np.ndarray,
) -> np.ndarray:
    """Return the seconds at each two levels, of shape `(LEVELS, LEVELS)`."""
    found = np.zeros((LEVELS, LEVELS))
    known: dict[tuple[Any, ...], float | None] = {}
    for place in reversed(list(np.ndindex(found.shape))):  # the whole operator first
        ratios = {
            row: Fraction(max(1, int(levels[n, place[n]])), int(whole[row]))
            for n, row in enumerate(rows)
            if row != ONE
        }
        shapes = operator.shapes({row: ratios[lead] for row, lead in led_by.items()})
        key = tuple(shapes)
        if key not in known:
            known[key] = _seconds(operator, shapes)
        taken = known[key]
        if taken is None:
            # It cannot be run alone at these sizes: as much of the whole as there are values in it.
            share = [max(1, int(levels[n, place[n]])) / levels[n, -1] for n in range(2)]
            taken = float(found[-1, -1]) * share[0] * share[1]
        found[place] = taken
    return found


def _seconds(operator: MatchedOperator, shapes: list[tuple[int, ...]]) -> float | None:
    """Return what an operator takes, None where it cannot be run alone."""
    content = single_operator(operator.file.model, operator.call, shapes)
    failure = failure_of(content)
    if failure is not None:
        logger.debug("cannot be measured alone: %s", failure)
        return None
    found = measure.latency({"operator": content}, turns=_TURNS, warmup=_WARMUP)
    return found["operator"].low_seconds


def _signature(operator: MatchedOperator, rows: tuple[int, int]) -> Hashable:
    """Return what tells kinds of operators apart: all but the values of constants."""
    order = {row: number for number, row in enumerate((*rows, *operator.rows))}
    tensors: list[Hashable] = []
    numbers = [*map(int, operator.call.operator.inputs), *map(int, operator.call.operator.outputs)]
    for number, axes in zip(numbers, operator.axes, strict=True):
        if number < 0:
            tensors.append(None)
            continue
        tensor = operator.call.graph.tensors[number]
        held = bool(operator.file.model.buffers[tensor.buffer].data is not None)
        pattern = tuple((size, None if row is None else order[row]) for size, row in axes)
        tensors.append((type_name(tensor), held, pattern))
    options = operator.call.operator.builtinOptions
    fields = {} if options is None else vars(options)
    settings = tuple(sorted((name, str(value)) for name, value in fields.items()))
    return operator.call.name, settings, tuple(tensors)
