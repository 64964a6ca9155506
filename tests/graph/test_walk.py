"""Reading models as graphs."""

import keras
import pytest

from tfopt import graph
from tfopt.errors import InvalidArgumentError, UnsupportedModel


@pytest.fixture
def nested():
    block = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Conv2D(3, 1, name="conv"), keras.layers.ReLU(name="relu")],
        name="block",
    )
    left, right = keras.Input((4, 4, 3), name="left"), keras.Input((4, 4, 3), name="right")
    joined = keras.layers.Add(name="add")([block(left), block(right)])
    return keras.Model([left, right], {"sum": joined, "scaled": joined * 2.0})


def test_nested_models_are_opened_and_shared_layers_come_once(nested):
    assert [path for path, _ in graph.layers(nested)] == ["block/conv", "block/relu", "add"]
    assert [node.path for node in graph.nodes(nested)].count("block/conv") == 2


def test_nodes_come_in_an_order_that_runs(small_cnn):
    model = small_cnn()
    seen = {id(x) for x in model.inputs}
    for node in graph.nodes(model):
        assert all(id(x) in seen for x in node.inputs)
        seen |= {id(x) for x in node.outputs}


class Subclassed(keras.Model):
    def call(self, x):
        return x


def test_a_subclassed_model_is_refused_with_the_way_out():
    with pytest.raises(UnsupportedModel, match=r"Subclassed.*Make it functional: inputs = keras.Input"):
        graph.require_functional(Subclassed())


def test_a_subclassed_model_inside_another_is_one_layer_of_it():
    inputs = keras.Input((4,))
    inner = Subclassed(name="inner")
    assert graph.layers(keras.Model(inputs, inner(inputs))) == [("inner", inner)]


def test_a_functional_subclass_with_a_call_of_its_own_is_no_graph():
    class Doubled(keras.Model):
        def call(self, x, **kwargs):
            return 2 * super().call(x, **kwargs)

    inputs = keras.Input((4,))
    with pytest.raises(UnsupportedModel, match="subclassed"):
        graph.require_functional(Doubled(inputs, keras.layers.Dense(2)(inputs)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (keras.Sequential([keras.layers.Dense(2)], name="bare"), "start it with keras.Input"),
        ("model.keras", "Expected a Keras 3 model .* got builtins.str"),
        (None, "got builtins.NoneType"),
    ],
)
def test_what_is_no_built_model_is_refused(model, message):
    with pytest.raises(InvalidArgumentError, match=message):
        graph.require_functional(model)
