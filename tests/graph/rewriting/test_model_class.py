"""The class of a model, kept or not when its graph is rewritten."""

import keras
import pytest

from tfopt import graph


class Doubling(keras.Model):
    """Trains in a way of its own, with a factor."""

    def __init__(self, inputs, outputs, factor=2.0, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.factor = factor
        self.seen = keras.metrics.Mean(name="seen")

    def compute_loss(self, *args, **kwargs):
        return self.factor * super().compute_loss(*args, **kwargs)


class Holding(Doubling):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.head = self.layers[-1]


def _built(kind, name="model"):
    inputs = keras.Input((3,))
    return kind(inputs, keras.layers.Dense(2, name="head")(inputs), name=name)


def test_the_methods_that_say_how_a_model_trains_are_found():
    assert graph.own_training(_built(keras.Model)) == []
    assert graph.own_training(_built(Doubling)) == ["compute_loss"]


def test_a_model_without_such_methods_is_the_graph():
    new = _built(keras.Model)
    assert graph.with_class_of(_built(keras.Model), new) is new


def test_the_class_and_what_it_holds_go_with_the_graph():
    old, new = _built(Doubling), _built(keras.Model, "new")
    made = graph.with_class_of(old, new)
    assert type(made) is Doubling
    assert made.factor == 2.0
    assert made.seen is not old.seen
    assert made.layers == new.layers


def test_methods_that_reach_into_the_graph_are_not_kept_and_a_warning_says_so():
    new = _built(keras.Model)
    with pytest.warns(
        UserWarning, match=r"attributes 'head' are parts of the model in float.*compute_loss\(\)"
    ):
        assert graph.with_class_of(_built(Holding), new) is new
