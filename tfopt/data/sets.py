"""Inputs that are sets of rows, as support and query of few-shot models: one sample is a set, not a row."""

from __future__ import annotations

from collections.abc import Sequence

from tfopt.errors import InvalidArgumentError


def fixed_batch(shapes: Sequence[Sequence[int | None]]) -> int | None:
    """Return the number of rows that a model takes at once, None where it takes any.

    Args:
        shapes: of the inputs, the batch in front.

    Raises:
        InvalidArgumentError: inputs are built for different numbers. The advice makes each set a sample.
    """
    fixed = {shape[0] for shape in shapes if shape[0] is not None}
    if len(fixed) > 1:
        numbers = ", ".join(str(shape[0]) for shape in shapes)
        rows = [shape[0] or max(filter(None, fixed)) for shape in shapes]
        raise InvalidArgumentError(
            f"The inputs of the model are built for batches of different numbers of rows ({numbers}), and a "
            f"batch is of samples. {as_samples(shapes, rows)}"
        )
    return next(iter(fixed), None)


def as_samples(shapes: Sequence[Sequence[int | None]], rows: Sequence[int]) -> str:
    """Return, as a sentence, how to make a model of whose inputs each set of rows is one sample.

    Args:
        shapes: of the inputs, the batch in front.
        rows: how many each set has.
    """
    inputs = ", ".join(
        f"keras.Input(batch_shape={(1, count, *shape[1:])})"
        for shape, count in zip(shapes, rows, strict=True)
    )
    return (
        "Where an input is a set of rows, make the set one sample, with a model around this one: inputs = "
        f"[{inputs}]; keras.Model(inputs, keras.ops.expand_dims(model([x[0] for x in inputs]), 0)); and give "
        "the data an axis for the samples in front."
    )
