import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.export import TFLiteModel
from tfopt.export.runtime.tflite_model import dequantize, quantize


def test_bytes_path_and_pickle_are_one(files, tmp_path):
    file = files["int8"]
    file.save(tmp_path / "new" / "model.tflite")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.tflite"]
    for other in (
        TFLiteModel(tmp_path / "new" / "model.tflite"),
        TFLiteModel(str(tmp_path / "new" / "model.tflite")),
        TFLiteModel(bytearray(bytes(file))),
        pickle.loads(pickle.dumps(file)),
    ):
        assert bytes(other) == bytes(file)
        assert other.inputs == file.inputs
    assert "image: int8 [1, 8, 8, 1]" in repr(file)


@pytest.mark.parametrize("samples", [0, 1, 7])
def test_predict_takes_any_number_of_samples(files, digits, samples):
    predicted = files["int8"].predict(digits.x_test[:samples])
    assert predicted.shape == (samples, 10)
    assert predicted.dtype == np.float32
    np.testing.assert_array_equal(predicted, files["int8"].predict(digits.x_test[:9])[:samples])


def test_a_batch_that_is_not_full_is_filled_up(trained, files, digits):
    four = tfopt.to_tflite(trained, batch_size=4)
    for samples in (1, 4, 6):
        x = digits.x_test[:samples]
        np.testing.assert_allclose(four.predict(x), files["float32"].predict(x), atol=1e-6)


def test_integers_are_on_the_grid_of_the_output(files, digits):
    file, spec = files["int8"], files["int8"].outputs[0]
    integers = file.predict_quantized(digits.x_test[:5])
    assert integers.dtype == np.int8
    expected = spec.scale * (integers.astype(np.float32) - spec.zero_point)
    np.testing.assert_allclose(file.predict(digits.x_test[:5]), expected, rtol=1e-6)


def test_quantize_rounds_saturates_and_is_undone(files):
    spec = files["int8"].inputs[0]
    grid = np.arange(-128, 128).astype(np.int8)
    np.testing.assert_array_equal(quantize(dequantize(grid, spec), spec), grid)
    assert quantize(np.array([-9.0, 9.0]), spec).tolist() == [-128, 127]


def test_one_sample_against_the_keras_model(files, trained, digits):
    expected = trained.predict(digits.x_test[:1], verbose=0)
    np.testing.assert_allclose(files["float32"].predict(digits.x_test[:1]), expected, atol=1e-5)


def test_verify_wants_the_own_model(files, digits):
    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(InvalidArgumentError, match="Verify a file with its own model"):
        files["float32"].verify(other, digits.x_test[:4])


class Subclassed(keras.Model):
    """Two inputs, two outputs by name, and code that a copy of the layers would not run."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head = keras.layers.Dense(6, activation="relu"), keras.layers.Dense(3)

    def call(self, inputs, training=True):
        a, b = inputs
        x = self.hidden(a) * (5.0 if training else 1.0) + b
        return {"classes": self.head(x), "features": x}


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_a_subclassed_model_verifies_its_file_and_no_other_model(scheme):
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(40, size)).astype("float32") for size in (4, 6)]
    keras.utils.set_random_seed(0)
    model, other = Subclassed(), Subclassed()
    model(x), other(x)
    file = tfopt.to_tflite(model, scheme, tuple(x))
    assert file.verify(model, tuple(x)).passed
    assert not file.verify(other, tuple(x)).passed


def test_verify_wants_samples(files, trained, digits):
    with pytest.raises(DataError, match="at least one sample"):
        files["float32"].verify(trained, digits.x_test[:0])


def test_verify_sees_another_model(files, trained, digits):
    other = tfopt.graph.copy(trained)
    head = other.get_layer("head")
    head.kernel.assign(-head.kernel)
    verification = files["int8"].verify(other, digits.x_test)
    assert not verification.passed
    assert verification.top1_agreement < 0.5


def test_benchmark_and_summary(files):
    assert files["int8"].benchmark(turns=2).median_seconds > 0
    assert "1 x CONV_2D (int8)" in str(files["int8"].summary())


MISUSE = {
    "shape": (lambda x: x[:, :4], InvalidArgumentError, r"must have the shape \(samples, 8, 8, 1\)"),
    "no batch": (lambda x: np.float32(1), InvalidArgumentError, r"got \(\)"),
    "NaN": (lambda x: x * np.nan, DataError, "'image' holds NaN"),
    "name": (lambda x: {"picture": x}, InvalidArgumentError, "each of 'image', got 'picture'"),
    "number": (lambda x: (x, x), InvalidArgumentError, "each of 'image'"),
}


@pytest.mark.parametrize("case", MISUSE)
def test_misuse_is_said_clearly(case, files, digits):
    change, kind, message = MISUSE[case]
    with pytest.raises(kind, match=message):
        files["int8"].predict(change(digits.x_test[:2]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"", "is empty"),
        (lambda content: b"\x00", "not a TFLite file"),
        (lambda content: b"PK\x03\x04" * 99, "not a TFLite file"),
        (lambda content: content[: len(content) // 2], "damaged"),
        (lambda content: content[:8] + b"\xff" * 500, "damaged"),
        (lambda content: content[:4] + b"TFL3", "damaged"),
    ],
)
def test_a_file_that_is_none_is_named(files, tmp_path, damage, message):
    path = tmp_path / "broken.tflite"
    path.write_bytes(damage(bytes(files["int8"])))
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        TFLiteModel(path)
    assert "broken.tflite" in str(caught.value)


def test_an_operator_that_fails_is_named():
    model = keras.Sequential([keras.Input((2,), dtype="int32"), keras.layers.Embedding(3, 2)])
    file = tfopt.to_tflite(model)
    beyond = np.array([[0, 99999999]])
    with pytest.raises(InvalidArgumentError, match=r"LiteRT cannot run The content: .*GATHER"):
        file.predict(beyond)
    with pytest.raises(InvalidArgumentError, match=r"LiteRT cannot run the file: .*GATHER"):
        tfopt.debug_quantization(model, file, beyond)
    assert file.predict(np.array([[0, 2]])).shape == (1, 2, 2)


def test_a_file_is_a_path_or_bytes():
    with pytest.raises(InvalidArgumentError, match="its path or its content in bytes, got int"):
        TFLiteModel(5)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidArgumentError, match="There is no file"):
        TFLiteModel(tmp_path / "no.tflite")
    with pytest.raises(InvalidArgumentError, match="Cannot read"):
        TFLiteModel(tmp_path)


def test_reading_and_running_needs_no_tensorflow(files, tmp_path):
    files["int8"].save(tmp_path / "model.tflite")
    code = (
        "import sys, numpy as np, tfopt; f = tfopt.TFLiteModel(sys.argv[1]); "
        "f.predict(np.zeros((2, 8, 8, 1))); f.summary(); f.benchmark(turns=1); "
        "tfopt.export.compare_files(f, f, turns=1); tfopt.measure.latency({'f': bytes(f)}, turns=1); "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "model.tflite")], check=True)
