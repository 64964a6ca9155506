"""The inputs and outputs of a model as its file has them: names, order and shapes."""

import keras
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.export.keras_graph.inputs_outputs import file_shapes, fixed_shapes, names, packed


def two_inputs(wrap):
    """Return a model of two inputs in a structure, with the same output twice."""
    zebra, apple = keras.Input((2,), name="zebra"), keras.Input((3,), name="apple")
    y = L.Dense(2, name="yew")(L.Concatenate()([zebra, apple]))
    return keras.Model(wrap(zebra, apple), [y, y])


@pytest.mark.parametrize(
    ("wrap", "expected"),
    [
        (lambda a, b: [a, b], ("zebra", "apple")),
        (lambda zebra, apple: {"zebra": zebra, "apple": apple}, ("apple", "zebra")),
    ],
)
def test_inputs_are_called_by_their_keys_or_their_names(wrap, expected):
    assert names(two_inputs(wrap)) == (expected, ("yew", "yew_1"))


def test_an_output_is_called_after_its_layer_and_not_after_the_quantizer():
    model = keras.Sequential([keras.Input((3,), name="x"), L.Dense(2, name="head")])
    assert names(model) == (("x",), ("head",))
    assert names(tfopt.quantize_aware(model))[1] == ("head",)


def test_tensors_are_packed_as_the_model_takes_them():
    model = two_inputs(lambda zebra, apple: {"zebra": zebra, "apple": apple})
    assert packed(model, ["first", "second"]) == {"apple": "first", "zebra": "second"}
    assert packed(keras.Sequential([keras.Input((3,)), L.Dense(2)]), ["only"]) == "only"


def image(*size, batch=None):
    inputs = keras.Input((*size, 3), batch_size=batch, name="image")
    return keras.Model(inputs, L.Conv2D(2, 1)(inputs))


def test_the_batch_size_is_in_front():
    assert file_shapes(image(8, 8), 4) == ((4, 8, 8, 3),)
    assert file_shapes(image(8, 8, batch=2), 1) == ((2, 8, 8, 3),)
    assert fixed_shapes(image(8, 8), 1) == ((1, 8, 8, 3),)


def test_sizes_may_stay_open_where_that_is_said():
    assert file_shapes(image(None, 8), 1, ("image",)) == ((1, None, 8, 3),)
    with pytest.raises(InvalidArgumentError, match=r"input_shapes=\{'image': \(64, 8, 3\)\}"):
        file_shapes(image(None, 8), 1)


@pytest.mark.parametrize(
    ("batch", "size", "message"),
    [
        (None, 0, "integer of 1 or more"),
        (None, 1.5, "integer of 1 or more"),
        (2, 3, "built for batches of 2"),
    ],
)
def test_a_batch_size_that_cannot_be_is_refused(batch, size, message):
    with pytest.raises(InvalidArgumentError, match=message):
        file_shapes(image(8, 8, batch=batch), size)
