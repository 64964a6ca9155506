import keras
import numpy as np
import pytest

from tfopt.errors import UnsupportedModel
from tfopt.graph import evaluate


@pytest.fixture(scope="module")
def nested():
    inner_input = keras.Input((4,))
    inner = keras.Model(inner_input, keras.layers.Dense(4, name="dense")(inner_input) * 2.0, name="inner")
    one, other = keras.Input((4,), name="one"), keras.Input((4,), name="other")
    joined = keras.layers.Concatenate(name="join")([inner(one), inner(other)])
    return keras.Model([one, other], [joined, keras.ops.relu(joined)])


def _data():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(3, 4)).astype("float32") for _ in range(2)]


def test_every_tensor_is_seen_in_an_order_that_runs(nested):
    seen = {}

    def visit(step, value):
        assert all(source in seen for source in step.sources)
        seen[step.number] = step.path, np.asarray(value)
        return value

    outputs = evaluate(nested, _data(), visit)
    paths = [path for path, _ in seen.values()]
    assert paths[:2] == ["one", "other"]
    assert paths.count("inner/dense") == 2  # a shared model's tensors stand once for each call
    for step, expected in zip(outputs, nested(_data()), strict=True):
        np.testing.assert_array_equal(seen[step.number][1], expected)


def test_what_replaces_a_tensor_goes_on(nested):
    made = []

    def visit(step, value):
        made.append(np.asarray(value))
        return keras.ops.zeros_like(value) if step.path == "join" else value

    evaluate(nested, _data(), visit)
    assert np.any(made[-2])
    assert not np.any(made[-1])


def test_a_mask_stays_with_what_replaces_its_tensor():
    tokens = keras.Input((3,), dtype="int32")
    x = keras.layers.Embedding(5, 2, mask_zero=True, name="embedding")(tokens)
    model = keras.Model(tokens, keras.layers.GlobalAveragePooling1D()(x))
    data = [np.array([[1, 2, 0], [3, 0, 0]])]
    made = []

    def visit(step, value):
        made.append(np.asarray(value))
        return value + 0.0 if step.path == "embedding" else value

    evaluate(model, data, visit)
    np.testing.assert_allclose(made[-1], model(data[0]), rtol=1e-6)


def test_a_subclassed_model_is_refused():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(UnsupportedModel, match="subclassed"):
        evaluate(Subclassed(), [np.zeros((1, 2))], lambda _, value: value)
