"""The stage QuantizeAware."""

import json
import types

import numpy as np
import pytest

import tfopt
from tfopt import graph
from tfopt.errors import InvalidArgumentError, InvariantError
from tfopt.quantization import SCHEMES, Scheme
from tfopt.stages import from_config


@pytest.fixture
def context(digits):
    fitted = []
    return types.SimpleNamespace(
        data=digits,
        seed=0,
        record={},
        fitted=fitted,
        fit=lambda model, *, epochs, callbacks=(): fitted.append((model, epochs, *callbacks)),
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


def test_its_moments_become_a_schedule(small_cnn, context):
    moments = {"start_at": 3, "freeze_ranges_at": 0.8, "freeze_batch_norm_at": 0.5}
    tfopt.QuantizeAware(epochs=2, calibration_samples=64, **moments).apply(small_cnn(), context)
    [(_, _, schedule)] = context.fitted
    assert schedule.get_config() == moments


def test_a_later_stage_must_not_take_the_quantizers_away(small_cnn):
    model = small_cnn()
    quantized = tfopt.quantize_aware(model)
    tfopt.QuantizeAware().check(quantized, quantized)
    with pytest.raises(InvariantError, match="no longer quantization-aware"):
        tfopt.QuantizeAware().check(quantized, model)


def test_it_is_data():
    stage = tfopt.QuantizeAware("int8", epochs=5, rules={"head": None})
    assert from_config(stage.get_config(), {"QuantizeAware": tfopt.QuantizeAware}) == stage


def test_a_scheme_of_ones_own_is_data_too():
    own = Scheme(weight_bits=3, weight_range="lsq")
    stage = tfopt.QuantizeAware(own, rules={"head": own, "conv1": "int8", "sep": None}, preserve=["sparsity"])
    config = json.loads(json.dumps(stage.get_config()))
    assert from_config(config, {"QuantizeAware": tfopt.QuantizeAware}) == stage


def test_weights_alone_need_no_calibration(small_cnn, context):
    pruned = tfopt.prune(small_cnn(), 0.5)
    stage = tfopt.QuantizeAware("int4_weights", rules={"head": "int8_weights"}, preserve="sparsity", epochs=1)
    model = stage.apply(pruned, context)
    assert context.fitted[0][:2] == (model, 1)
    assert model.get_layer("head").scheme == SCHEMES["int8_weights"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheme": "int7"}, "one of the schemes .* got 'int7'"),
        ({"rules": {"head": "int7"}}, "got 'int7'"),
        ({"preserve": "rank"}, "got 'rank'"),
        ({"epochs": -1}, "epochs to be a whole number >= 0, got -1"),
        ({"calibration_samples": 0}, "a whole number >= 1, got 0"),
        ({"freeze_ranges_at": 1.5}, "QuantizeAware: expected freeze_ranges_at .*got 1.5"),
        ({"start_at": 0.5, "engine": "tfmot"}, "engine='keras'"),
    ],
)
def test_bad_numbers_are_refused(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.QuantizeAware(**arguments)
