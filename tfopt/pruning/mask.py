"""The mask of a pruned kernel, as a Keras constraint; the constraints of several kernels as one."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from tfopt.errors import InvalidArgumentError
from tfopt.pruning.plan import Plan


@keras.saving.register_keras_serializable(package="tfopt")
class SparsityMask(keras.constraints.Constraint):
    """Holds the pruned weights of a variable at exactly zero.

    Every Keras optimizer applies a variable's constraint after every step, so the zeros hold under
    momentum, weight decay and mixed precision with no wrapper layer. The mask is part of the layer's
    config: saved models and clones keep it bit for bit.

    Args:
        mask: boolean array of the variable's shape; True where a weight lives, False where it is zero.
        constraint: another constraint of the same variable; it is applied first.
        plan: how the sparsity is still to rise while training; None for a mask that stays.
    """

    def __init__(
        self,
        mask: np.ndarray,
        constraint: Callable | None = None,
        plan: Plan | None = None,
    ) -> None:
        # A variable, because a train step that is already traced must see the mask change. Made here,
        # because models are made in the scope of their distribution strategy.
        self._mask = keras.Variable(
            np.asarray(mask, bool), dtype="bool", trainable=False, name="sparsity_mask"
        )
        self.constraint = constraint
        self.plan = plan
        self.driven = False
        """Whether a `PruningSchedule` callback carries out the plan at present."""
        self.sums: keras.Variable | None = None
        """What a criterion sums over the steps of a training, of the kernel's shape; None outside of one."""

    def __call__(self, w: Any) -> Any:
        """Return `w` with zeros where the mask is False."""
        if self.plan is not None and not self.driven:
            raise InvalidArgumentError(
                f"This model is to be pruned up to {self.plan.sparsity:.0%} while it trains, and nothing "
                "raises its sparsity: compile it again and pass "
                "callbacks=[tfopt.callbacks.PruningSchedule()] to fit, or prune at once by "
                "tfopt.prune(model, sparsity) without a schedule."
            )
        if tuple(w.shape) != tuple(self._mask.shape):
            raise InvalidArgumentError(
                f"The sparsity mask has the shape {tuple(self._mask.shape)}, its variable "
                f"{tuple(w.shape)}: prune the model again after a change of shapes."
            )
        if self.constraint is not None:
            w = self.constraint(w)
        # Not w * mask: that makes negative zeros, which compress worse, and keeps NaN.
        mask, w = map(keras.ops.convert_to_tensor, (self._mask, w))  # JAX's operations take no variables
        return keras.ops.where(mask, w, keras.ops.zeros_like(w))

    @property
    def value(self) -> np.ndarray:
        """The mask as a boolean array."""
        return self._mask.numpy()

    @value.setter
    def value(self, mask: np.ndarray) -> None:
        self._mask.assign(mask)

    def get_config(self) -> dict[str, Any]:
        """Return the mask packed to bits, and what goes with it."""
        mask = self.value
        return {
            "mask": base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 9)).decode("ascii"),
            "shape": list(mask.shape),
            "constraint": keras.saving.serialize_keras_object(self.constraint),
            "plan": keras.saving.serialize_keras_object(self.plan),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SparsityMask:
        """Return the mask that `get_config` described."""
        shape = tuple(config["shape"])
        bits = np.frombuffer(zlib.decompress(base64.b64decode(config["mask"])), np.uint8)
        return cls(
            np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool),
            keras.saving.deserialize_keras_object(config["constraint"]),
            keras.saving.deserialize_keras_object(config["plan"]),
        )


@keras.saving.register_keras_serializable(package="tfopt")
class SharedConstraint(keras.constraints.Constraint):
    """The constraints of the kernels of an attention layer, whose config has one place for all of them.

    Args:
        entries: name of the inner layer, such as `"query"` -> constraint of its kernel, or None.
        rest: the constraint of the kernels of other layers.
    """

    def __init__(self, entries: Mapping[str, Callable | None], rest: Callable | None = None) -> None:
        self.entries = dict(entries)
        self.rest = rest

    def of(self, variable: keras.Variable) -> Callable | None:
        """Return the constraint of one kernel."""
        return self.entries.get(variable.path.split("/")[-2], self.rest)

    def __call__(self, w: Any) -> Any:
        """Return the variable `w` as its own constraint leaves it."""
        constraint = self.of(w)
        return w if constraint is None else constraint(w)

    def get_config(self) -> dict[str, Any]:
        """Return the constraints."""
        return {
            "entries": {name: keras.saving.serialize_keras_object(e) for name, e in self.entries.items()},
            "rest": keras.saving.serialize_keras_object(self.rest),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SharedConstraint:
        """Return what `get_config` described."""
        load = keras.saving.deserialize_keras_object
        return cls({name: load(entry) for name, entry in config["entries"].items()}, load(config["rest"]))


def constraint_of(variable: keras.Variable) -> Callable | None:
    """Return the constraint of a variable, its own alone where others share it."""
    constraint = variable.constraint
    return constraint.of(variable) if isinstance(constraint, SharedConstraint) else constraint


def mask_of(variable: keras.Variable) -> SparsityMask | None:
    """Return the mask of a variable, None where it has none."""
    constraint = constraint_of(variable)
    return constraint if isinstance(constraint, SparsityMask) else None
