"""The stage QuantizeAware."""

import types

import numpy as np
import pytest

import tfopt
from tfopt import graph
from tfopt.errors import InvalidArgumentError, InvariantError
from tfopt.stages import from_config


@pytest.fixture
def context(digits):
    fitted = []
    return types.SimpleNamespace(
        data=digits,
        seed=0,
        record={},
        fitted=fitted,
        fit=lambda model, *, epochs: fitted.append((model, epochs)),
    )


def test_the_model_is_calibrated_before_it_is_trained(small_cnn, context, digits):
    model = tfopt.QuantizeAware("int8", epochs=2, calibration_samples=64).apply(small_cnn(), context)
    assert context.fitted == [(model, 2)]
    quantizer = model.get_layer("image.quantizer")
    assert float(quantizer.maximum) == pytest.approx(digits.x_train[:64].max())
    assert np.isfinite(model.predict(digits.x_test[:4], verbose=0)).all()


def test_without_epochs_it_only_calibrates(small_cnn, context):
    model = tfopt.QuantizeAware(epochs=0).apply(small_cnn(), context)
    assert not context.fitted
    assert graph.is_quantized(model)


def test_a_later_stage_must_not_take_the_quantizers_away(small_cnn):
    model = small_cnn()
    quantized = tfopt.quantize_aware(model)
    tfopt.QuantizeAware().check(quantized, quantized)
    with pytest.raises(InvariantError, match="no longer quantization-aware"):
        tfopt.QuantizeAware().check(quantized, model)


def test_it_is_data():
    stage = tfopt.QuantizeAware("int8", epochs=5, rules={"head": None})
    assert from_config(stage.get_config(), {"QuantizeAware": tfopt.QuantizeAware}) == stage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": -1}, "epochs to be a whole number >= 0, got -1"),
        ({"calibration_samples": 0}, "a whole number >= 1, got 0"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.QuantizeAware(**arguments)
