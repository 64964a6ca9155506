"""What a figure over a whole output hides is found, and healthy outputs pass."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import ConversionError
from tfopt.export.runtime.findings import of_input, of_output
from tfopt.quantization import calibrate

RNG = np.random.default_rng(0)


def found(expected, actual, step=None, limits=None, *, own=False, classification=False):
    return list(of_output("y", expected, actual, step, limits, own=own, classification=classification))


def rounded(values, step):
    return np.round(values / step) * step


BOXES_AND_SCORES = np.concatenate([RNG.uniform(0, 640, (100, 4)), RNG.uniform(0, 1, (100, 3))], axis=-1)


@pytest.mark.parametrize("step", [2.5, 40.0])
def test_channels_that_a_scale_is_too_coarse_for_fail(step):
    (finding,) = found(BOXES_AND_SCORES, rounded(BOXES_AND_SCORES, step), step)
    assert finding.fails
    assert finding.channels == (4, 5, 6)
    assert "channels 4, 5, 6 of 'y': varies by" in str(finding)


@pytest.mark.parametrize("step", [None, 0.01])
def test_fine_scales_pass(step):
    actual = BOXES_AND_SCORES if step is None else rounded(BOXES_AND_SCORES, step)
    assert not found(BOXES_AND_SCORES, actual, step)


def test_a_dead_channel_of_a_float_file_fails():
    actual = BOXES_AND_SCORES.copy()
    actual[:, 5] = 0.5
    assert [(each.channels, each.fails) for each in found(BOXES_AND_SCORES, actual)] == [((5,), True)]


def test_what_is_constant_in_the_model_may_be_so_in_the_file():
    expected = BOXES_AND_SCORES.copy()
    expected[:, 4:] = 0.25
    assert not found(expected, rounded(expected, 2.5), 2.5)


def test_a_share_below_the_smallest_step_is_only_noted():
    shares = np.stack([RNG.uniform(0, 1, 100), RNG.uniform(0, 0.001, 100)], axis=-1)
    (finding,) = found(shares, rounded(shares, 1 / 256), 1 / 256)
    assert (finding.channels, finding.fails) == ((1,), False)


def test_a_step_more_or_less_than_the_own_model_is_rounding():
    expected = np.tile([[0.0], [1.0]], (20, 1))
    assert not found(expected, np.zeros_like(expected), 1.0, own=True)
    assert found(5 * expected, np.zeros_like(expected), 1.0, own=True)[0].fails


@pytest.mark.parametrize(("margin", "fails"), [(1.0, True), (0.001, False)])
def test_a_class_that_is_never_chosen_any_more(margin, fails):
    expected = np.zeros((60, 3))
    expected[np.arange(60), np.arange(60) % 3] = margin
    actual = expected.copy()
    actual[:, 2] = -0.1
    (finding,) = (x for x in found(expected, actual, 0.01, classification=True) if "classes" in x.reason)
    assert (finding.channels, finding.fails) == ((2,), fails)
    assert not found(expected, expected, 0.01, classification=True)


def test_ranges_that_cut_off_are_reported():
    values = RNG.normal(size=(400, 2))
    (finding,) = found(values, np.clip(values, -1, 1), 0.01, (-1.0, 1.0))
    assert finding.fails
    assert "beyond the range" in finding.reason
    (finding,) = of_input("x", values, 0.01, (-1.0, 1.0))
    assert (finding.tensor, finding.fails) == ("x", False)
    assert not list(of_input("x", values, 0.05, (-6.0, 6.0)))


def detector():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 16, 3))
    x = L.Conv2D(8, 3, strides=4, padding="same", activation="relu")(inputs)
    boxes = L.Rescaling(640.0, name="scale")(L.Reshape((16, 4))(L.Conv2D(4, 1, activation="sigmoid")(x)))
    scores = L.Reshape((16, 3), name="scores")(L.Conv2D(3, 1, activation="sigmoid")(x))
    return inputs, boxes, scores


def test_a_detector_with_dead_scores_fails_and_both_ways_out_work():
    x = RNG.random((100, 16, 16, 3), dtype=np.float32)
    inputs, boxes, scores = detector()
    model = keras.Model(inputs, L.Concatenate(name="join")([boxes, scores]))
    verification = tfopt.to_tflite(model, "int8", x).verify(model, x)
    assert not verification.passed
    assert "channels 4, 5, 6 of 'join'" in str(verification)
    assert verification.to_dict()["findings"][0]["channels"] == (4, 5, 6)

    split = keras.Model(inputs, [boxes, scores])
    assert tfopt.to_tflite(split, "int8", x).verify(split, x).passed
    quantized = tfopt.quantize_aware(model, rules={"join": None})
    tfopt.quantization.calibrate(quantized, x)
    by_rule = tfopt.to_tflite(quantized)
    assert by_rule.verify(quantized, x).passed
    assert by_rule.verify(model, x).passed


def _on_columns(sizes):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(64, len(sizes))).astype("float32") * np.float32(sizes)
    inputs = keras.Input((len(sizes),), name="table")
    normalization = L.BatchNormalization(center=False, scale=False, name="normalization")
    model = keras.Model(inputs, L.Dense(2, name="head")(normalization(inputs)))
    normalization.set_weights([x.mean(0), x.var(0)])
    return model, x


def test_columns_that_the_grid_of_an_input_hides_are_named_and_the_way_out_helps():
    model, x = _on_columns([1.0, 0.01, 50.0, 80.0])
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    noted = [
        each for each in tfopt.to_tflite(quantized).verify(quantized, x).findings if each.tensor == "table"
    ]
    assert [each.channels for each in noted] == [(1,)]
    assert "rules={layer: None}" in str(noted[0])
    quantized = tfopt.quantize_aware(model, rules={"normalization": None})
    calibrate(quantized, x)
    verification = tfopt.to_tflite(quantized).verify(model, x)
    assert not verification.findings
    assert verification.snr_db > 30


def test_columns_of_one_size_are_no_finding():
    model, x = _on_columns([1.0, 0.5, 2.0])
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    assert not tfopt.to_tflite(quantized).verify(quantized, x).findings


def test_an_input_that_litert_refuses_is_left_in_float_as_the_message_says():
    model, x = _on_columns([1.0, 0.01, 300.0, 3000.0])
    with pytest.raises(ConversionError, match=r"rules=\{'normalization': None\}"):
        tfopt.to_tflite(model, "int8", x)
    quantized = tfopt.quantize_aware(model, rules={"normalization": None})
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert [spec.dtype for spec in file.inputs] == ["float32"]
    assert file.verify(model, x).snr_db > 30
