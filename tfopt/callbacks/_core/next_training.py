"""Doing something when a model begins to train again, whatever ended its training before.

An exception, such as that of Ctrl-C, ends a `fit` without telling its callbacks. What they left in the
model is taken away here at the next `fit` or `train_on_batch`, which both ask the model for its training
function first.
"""

from collections.abc import Callable

import keras


def before_next_training(model: keras.Model, action: Callable[[], None]) -> Callable[[], None]:
    """Call `action` once when `model` begins to train again.

    Args:
        model: one that trains now.
        action: what to do.

    Returns:
        A function that takes the order back.
    """
    original = model.make_train_function

    def make_train_function(force: bool = False) -> None:
        # Callbacks force a new function in the middle of a training; what begins one does not.
        if not force:
            cancel()
            action()
        original(force)

    def cancel() -> None:
        if vars(model).get("make_train_function") is make_train_function:
            del model.make_train_function

    model.make_train_function = make_train_function
    return cancel
