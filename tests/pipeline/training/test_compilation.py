"""The loss that a recipe has by default."""

import keras
import pytest

from tfopt.pipeline.training.compilation import cross_entropy


def _model(*layers):
    return keras.Sequential([keras.Input((4,)), *layers])


@pytest.mark.parametrize(
    ("model", "from_logits"),
    [
        (_model(keras.layers.Dense(3, activation="softmax")), False),
        (_model(keras.layers.Dense(3), keras.layers.Softmax()), False),
        (_model(keras.layers.Dense(3), keras.layers.Activation("softmax")), False),
        (
            _model(
                _model(keras.layers.Dense(4, activation="relu"), keras.layers.Dense(3, activation="softmax"))
            ),
            False,
        ),
        (_model(keras.layers.Dense(3)), True),
        (_model(keras.layers.Dense(3, activation="softmax"), keras.layers.Dense(3)), True),
    ],
)
def test_it_is_of_what_the_model_returns(model, from_logits):
    assert cross_entropy(model).from_logits is from_logits
