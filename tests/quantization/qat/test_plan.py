"""What a user of `tfopt.plan` sees."""

import logging

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedOperation
from tfopt.quantization import QuantizationPlan

L = keras.layers


def test_a_cnn(small_cnn):
    plan = tfopt.plan(small_cnn(), rules={"head": None})
    assert isinstance(plan, QuantizationPlan)
    rows = {line.split()[0]: line for line in plan.table().splitlines()}
    assert "8 bits per channel" in rows["conv1"]
    assert "fused into conv1" in rows["bn1"]
    assert "in float: a rule says so" in rows["head"]


def test_with_16_bits(small_cnn):
    plan = tfopt.plan(small_cnn(), "int16x8", rules={"hidden": "int8"})
    assert plan.quantizer("relu1.quantizer").bits == 16
    assert len(plan.requantizations) == 1
    assert "requantized to 8 bits" in plan.table()


def test_a_recurrent_layer():
    x = keras.Input((6, 3), name="x")
    plan = tfopt.plan(keras.Model(x, L.LSTM(4, name="lstm")(x)))
    assert "lstm/recurrent" in plan.table()
    assert plan.quantizer("lstm.output.quantizer").count == 6


def test_it_refuses_what_quantize_aware_refuses(small_cnn):
    model = small_cnn()
    with pytest.raises(InvalidArgumentError, match="hidde"):
        tfopt.plan(model, rules={"hidde": None})
    with pytest.raises(InvalidArgumentError, match="schemes"):
        tfopt.plan(model, "int3")
    with pytest.raises(InvalidArgumentError, match="quantization-aware already"):
        tfopt.plan(tfopt.quantize_aware(model))
    with pytest.raises(InvalidArgumentError, match="no kernel with zeros"):
        tfopt.plan(model, preserve="sparsity")
    x = keras.Input((4,), name="x")
    with pytest.raises(UnsupportedOperation, match="Hashing"):
        tfopt.plan(keras.Model(x, L.Dense(2)(keras.ops.cast(L.Hashing(3)(x), "float32"))))


def test_clusters_have_one_scale(small_cnn):
    model = small_cnn()
    kernel = model.get_layer("hidden").kernel
    kernel.assign(np.sign(kernel.numpy()))
    scales = {spec.path: spec.scales for spec in tfopt.plan(model, preserve="clusters").weights}
    assert (scales["hidden"], scales["conv1"]) == ("per tensor", "per channel")


def test_decisions_are_logged(small_cnn, caplog):
    with caplog.at_level(logging.INFO, "tfopt"):
        tfopt.quantize_aware(small_cnn(), rules={"head": None, "hidden": "int4"})
    assert "rule 'head' leaves head in float" in caplog.messages
    assert "head stays in float: a rule says so" in caplog.messages
    assert any(
        message.startswith("rule 'hidden' gives hidden the scheme Scheme(") for message in caplog.messages
    )
    assert not [record for record in caplog.records if record.levelno < logging.INFO]
    with caplog.at_level(logging.DEBUG, "tfopt"):
        tfopt.quantize_aware(small_cnn())
    assert "bn1 is fused into conv1" in caplog.messages
    assert "conv1: weights of 8 bits, per channel" in caplog.messages
    assert any(message.startswith("relu1.quantizer: 8 bits, range ") for message in caplog.messages)


def test_an_error_names_the_function_that_was_called(small_cnn):
    for function in (tfopt.plan, tfopt.quantize_aware):
        with pytest.raises(InvalidArgumentError, match=rf"^{function.__name__}: expected preserve"):
            function(small_cnn(), preserve="zeros")
