"""What the outputs of a model are, as its loss takes them: probabilities, logits or numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfopt import _validation
from tfopt.errors import InvalidArgumentError

KINDS = ("probabilities", "logits", "binary_probabilities", "binary_logits", "values")
"""Of classes on the last axis, of two classes each number alone, and of a regression."""

OutputKinds = str | Mapping[str, str | None] | None
"""One kind for all outputs, or output name -> kind, None for one that is not taught."""

_CLASSES = ("categoricalcrossentropy", "categoricalfocalcrossentropy")
_VALUES = ("squared", "absolute", "huber", "logcosh", "cosinesimilarity")


def output_kinds(model: keras.Model, loss: Any, kinds: OutputKinds = None) -> list[str | None]:
    """Return the kind of each output of a model, flat; None for outputs that are not taught.

    Args:
        model: with symbolic outputs.
        loss: as `compile` takes it.
        kinds: what the user says they are; None to tell by the loss.

    Raises:
        InvalidArgumentError: a loss does not tell, or a name is of no output.
    """
    names = _names(model)
    if isinstance(kinds, str):
        return [_validation.choice("distillation", "outputs", kinds, KINDS)] * len(names)
    said = _validation.mapping("distillation", "outputs", kinds, "{'head': 'logits'}")
    unknown = sorted(set(said) - set(names))
    if unknown:
        raise InvalidArgumentError(
            f"distillation: outputs names {', '.join(map(repr, unknown))}; the model {model.name!r} has the "
            f"outputs {', '.join(map(repr, names))}."
        )
    found: list[str | None] = []
    for name, each in zip(names, _losses(names, loss), strict=True):
        if name in said:
            kind = said[name]
            found.append(None if kind is None else _validation.choice("distillation", "outputs", kind, KINDS))
        else:
            found.append(None if each is None else _kind(name, each))
    if not any(found):
        raise InvalidArgumentError(f"distillation: the model {model.name!r} has no output to be taught.")
    return found


def _losses(names: list[str], loss: Any) -> list[Any]:
    if isinstance(loss, Mapping):
        return [loss.get(name) for name in names]
    flat = keras.tree.flatten(loss)
    if isinstance(loss, list | tuple) and len(flat) == len(names):
        return flat
    return [loss] * len(names)


def _kind(name: str, loss: Any) -> str:
    loss = keras.losses.get(loss)
    of_keras = any(
        module.startswith("keras.") for module in (type(loss).__module__, getattr(loss, "__module__", ""))
    )
    called = str(getattr(loss, "__name__", type(loss).__name__)).lower().replace("_", "")
    from_logits = isinstance(loss, keras.losses.Loss) and bool(loss.get_config().get("from_logits", False))
    if of_keras and called.removeprefix("sparse") in _CLASSES:
        return "logits" if from_logits else "probabilities"
    if of_keras and called.startswith("binary") and "crossentropy" in called:
        return "binary_logits" if from_logits else "binary_probabilities"
    if of_keras and called == "kldivergence":
        return "probabilities"
    if of_keras and any(word in called for word in _VALUES):
        return "values"
    called = getattr(loss, "__name__", type(loss).__name__)
    raise InvalidArgumentError(
        f"distillation: the loss {called} of the output {name!r} does not tell whether it is "
        f"probabilities, logits or numbers. Say so: outputs={{{name!r}: ...}}, one of "
        f"{', '.join(map(repr, KINDS))}, or None for an output that the teacher does not teach."
    )


def _names(model: keras.Model) -> list[str]:
    """Return the names of the outputs, in the order in which they are flat."""
    output = None if isinstance(model, keras.Sequential) else model.output
    if isinstance(output, dict):
        return sorted(output)
    return list(getattr(model, "output_names", None) or [model.layers[-1].name])
