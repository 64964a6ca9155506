import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError, VerificationError
from tfopt.stages import ExportTFLite


@dataclasses.dataclass
class _Context:
    data: Any
    directory: Path
    record: dict = dataclasses.field(default_factory=dict)

    def export(self, file):
        (self.directory / "model.tflite").write_bytes(bytes(file))


@pytest.fixture
def context(digits, tmp_path):
    return _Context(digits, tmp_path)


@pytest.fixture
def model(small_cnn, digits):
    model = small_cnn()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(digits.x_train, digits.y_train, epochs=2, verbose=0)
    return model


def _quantized(model, digits):
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, digits.x_train[:128])
    return quantized


def test_a_quantization_aware_model_becomes_a_verified_int8_file(model, digits, context):
    quantized = _quantized(model, digits)
    assert ExportTFLite().apply(quantized, context) is quantized
    assert [path.name for path in context.directory.iterdir()] == ["model.tflite"]
    record = json.loads(json.dumps(context.record))
    assert record["title"] == "int8 TFLite"
    found = record["verification"]
    assert found["passed"]
    assert found["samples"] == len(digits.x_test)
    assert found["top1_agreement"] >= 0.99
    assert found["float_operators"] == []
    assert found["operators"]["CONV_2D"]["types"] == ["int8"]
    assert {"max_lsb", "mean_lsb", "snr_db", "tolerance"} <= set(found)


def test_a_float_model_is_calibrated_on_the_training_split(model, context):
    ExportTFLite("int8", output_type="float32", samples=50).apply(model, context)
    file = tfopt.TFLiteModel(context.directory / "model.tflite")
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == ("int8", "float32")
    assert context.record["verification"]["samples"] == 50


def test_it_takes_the_schemes_rules_and_corrections_of_to_tflite(model, context):
    stage = ExportTFLite("int4", rules={"head": None}, corrections=["bias_correction"], min_agreement=0.8)
    stage.apply(model, context)
    assert context.record["title"] == "int4 TFLite"
    file = tfopt.TFLiteModel(context.directory / "model.tflite")
    assert {each["layer"] for each in context.record["verification"]["float_operators"]} == {"head"}
    assert {weight.dtype for weight in file.summary().weights} == {"int4", "int8", "float32"}


def test_a_float_file_lists_no_operator_as_left_in_float(model, context):
    ExportTFLite("float16").apply(model, context)
    assert context.record["title"] == "float16 TFLite"
    assert context.record["verification"]["float_operators"] == []
    assert context.record["verification"]["max_lsb"] is None


def test_an_operator_left_in_float_is_listed_with_its_layer(context):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Dense(10, activation="elu", name="odd")(keras.layers.Flatten()(inputs))
    ExportTFLite("int8").apply(keras.Model(inputs, keras.layers.Dense(10)(x)), context)
    assert context.record["verification"]["float_operators"] == [{"operator": "ELU", "layer": "odd/elu"}]


def test_the_file_of_a_pruned_model_can_be_sparse(context):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Dense(64, activation="relu", name="hidden")(keras.layers.Flatten()(inputs))
    pruned = tfopt.prune(keras.Model(inputs, keras.layers.Dense(10, name="head")(x)), 0.8)
    ExportTFLite("float32", sparse=True).apply(pruned, context)
    assert context.record["verification"]["passed"]
    weights = tfopt.TFLiteModel(context.directory / "model.tflite").summary().weights
    assert {weight.layer: weight.sparse for weight in weights} == {"hidden": True, "head": True}


def test_a_file_that_fails_is_kept_under_another_name_and_raises(model, digits, context):
    quantized = _quantized(model, digits)
    run = tfopt.TFLiteModel._run
    with pytest.MonkeyPatch.context() as patch:
        # Answers that belong to other samples, as from a file that the converter got wrong.
        patch.setattr(tfopt.TFLiteModel, "_run", lambda self, x: [each[::-1] for each in run(self, x)])
        with pytest.raises(VerificationError, match=r"top-1 agreement.*kept as .*failed.tflite") as caught:
            ExportTFLite().apply(quantized, context)
    assert "\n" not in str(caught.value)
    assert [path.name for path in context.directory.iterdir()] == ["model.failed.tflite"]
    assert not context.record["verification"]["passed"]
    ExportTFLite().apply(quantized, context)
    assert [path.name for path in context.directory.iterdir()] == ["model.tflite"]


def test_what_is_asked_for_is_held_to(model, context):
    # The model is in float: a file that rounds its activations is not exact in all 3590 probabilities.
    with pytest.raises(VerificationError, match="above the allowed 0"):
        ExportTFLite("int8", max_lsb=0).apply(model, context)


def test_a_regression_has_no_agreement(context, digits):
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 3), np.float32), rng.random((40, 2), np.float32)
    context.data = tfopt.data.from_arrays(x, y, num_classes=None)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    ExportTFLite("int8").apply(model, context)
    assert context.record["verification"]["top1_agreement"] is None


def test_it_is_data():
    corrections = ["cross_layer_equalization"]
    stage = ExportTFLite(
        "int8", output_type="float32", max_lsb=2, rules={"a*": None}, corrections=corrections
    )
    config = json.loads(json.dumps(stage.get_config()))
    assert config.pop("class") == "ExportTFLite"
    assert ExportTFLite(**config) == stage
    assert stage.title == "int8 TFLite"
    assert ExportTFLite().title == "TFLite"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheme": "int5"}, "scheme must be one of"),
        ({"scheme": "int4", "engine": "converter"}, "cannot do scheme='int4'"),
        ({"corrections": ["magic"]}, "corrections to be one of"),
        ({"scheme": "float16", "input_type": "int8"}, "input_type must be"),
        ({"output_type": "uint16"}, "output_type must be"),
        ({"min_agreement": 1.5}, "min_agreement to be a finite number in"),
        ({"max_lsb": -1}, "max_lsb to be a finite number >= 0"),
        ({"samples": 0}, "samples to be a whole number >= 1"),
        ({"float_where_faster": 1}, "float_where_faster to be True or False"),
        ({"sparse": 1}, "sparse to be True or False"),
    ],
)
def test_misuse_is_said_at_once(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        ExportTFLite(**arguments)
