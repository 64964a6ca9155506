"""What a model was compiled with, and is kept by Keras in private attributes only.

`model.loss` is public. The loss weights are not: the public `get_compile_config` has them, but fails for, or
warns of, every loss and metric that cannot be serialized.
"""

from typing import Any

import keras


def overrides_compute_loss(model: keras.Model) -> bool:
    """Return whether the model's class has a loss computation of its own."""
    return type(model).compute_loss is not keras.Model.compute_loss


def compiled_loss(model: keras.Model) -> tuple[Any, Any]:
    """Return `loss` and `loss_weights` as they were given to `compile`, None where they were not."""
    loss = getattr(model, "_compile_loss", None)
    return (None, None) if loss is None else (loss._user_loss, loss._user_loss_weights)
