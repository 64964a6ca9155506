"""The families of models: known members, all blocks up to the int8 file, small images, what is refused."""

import keras
import keras_tuner
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.models import mobile_net, mobile_net_choices, res_net, res_net_choices

BUILDERS = {"mobile_net": mobile_net, "res_net": res_net}
BLOCKS = [
    ("mobile_net", "inverted"),
    ("mobile_net", "fused"),
    ("mobile_net", "separable"),
    ("res_net", "basic"),
    ("res_net", "bottleneck"),
    ("res_net", "separable"),
]
SMALL = {"mobile_net": {"width": 0.1, "depth": 0.3, "head": 0}, "res_net": {"width": 8, "stages": 2}}


@pytest.mark.slow
@pytest.mark.parametrize("width", [0.35, 1.0, 1.4])
def test_mobile_net_has_the_weights_of_mobilenetv2(width):
    shape = (128, 128, 3)  # whose last map is 4x4
    theirs = keras.applications.MobileNetV2(shape, alpha=width, weights=None)
    ours = mobile_net(shape, 1000, width=width)
    assert ours.count_params() == theirs.count_params()
    assert tfopt.measure.macs(ours) == pytest.approx(tfopt.measure.macs(theirs), rel=1e-3)


def test_res_net_has_the_size_of_the_papers_resnet_20():
    model = res_net((32, 32, 3), 10, depth=3)
    assert model.count_params() == pytest.approx(0.27e6, rel=0.03)  # table 6 of the paper
    assert tfopt.measure.macs(model) == pytest.approx(41e6, rel=0.03)
    convolutions = [each for each in model.layers if isinstance(each, keras.layers.Conv2D)]
    assert len([each for each in convolutions if "shortcut" not in each.name]) + 1 == 20


@pytest.mark.parametrize(("family", "block"), BLOCKS)
def test_more_width_and_depth_are_more_weights_and_no_map_is_smaller_than_4x4(family, block):
    build = BUILDERS[family]
    sizes = []
    for arguments in ({"width": 1}, {"width": 2}, {"width": 2, "depth": 2}):
        model = build((12, 10, 1), 3, block=block, **arguments)
        sizes.append(model.count_params())
        maps = [layer.output.shape[1:3] for layer in model.layers if len(layer.output.shape) == 4]
        assert min(min(sides) for sides in maps) >= 4
        assert model.output_shape == (None, 3)
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


@pytest.mark.parametrize("family", BUILDERS)
def test_the_resolution_is_that_of_the_first_convolution_and_costs_accordingly(family):
    build = BUILDERS[family]
    whole = build((32, 32, 3), 4, **SMALL[family])
    half = build((32, 32, 3), 4, resolution=16, **SMALL[family])
    assert half.input_shape == (None, 32, 32, 3)
    assert half.get_layer("resize").output.shape == (None, 16, 16, 3)
    assert tfopt.measure.macs(half) < 0.7 * tfopt.measure.macs(whole)
    assert half.count_params() == whole.count_params()
    assert "resize" not in {layer.name for layer in build((16, 16, 3), 4, resolution=16).layers}


@pytest.mark.slow
@pytest.mark.parametrize(("family", "block"), BLOCKS)
@pytest.mark.parametrize("resolution", [None, 16])
def test_every_block_becomes_an_integer_file(family, block, resolution):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(64, 24, 24, 3)).astype("float32")
    model = BUILDERS[family]((24, 24, 3), 4, block=block, resolution=resolution, **SMALL[family])
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, np.arange(64) % 4, verbose=0)
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert not file.summary().float_operators
    # Both round in each of up to twenty layers, and may do so apart where a value lies halfway.
    difference = np.abs(file.predict(x) - quantized.predict(x, verbose=0))
    assert difference.max() < 8 * file.outputs[0].step
    assert difference.mean() < 2 * file.outputs[0].step


def test_choices_are_hyperparameters_with_the_first_value_as_the_default():
    hp = keras_tuner.HyperParameters()
    chosen = mobile_net_choices(hp, width=[0.5, 1.0], resolution=[96, 64], block=["fused"])
    assert chosen == {
        "width": 0.5, "depth": 1.0, "resolution": 96, "block": "fused", "kernel_size": 3, "head": 0,
    }  # fmt: skip
    assert {each.name for each in hp.space} == {"width", "depth", "resolution", "kernel_size"}
    hp.values["width"] = 1.0
    assert mobile_net_choices(hp, width=[0.5, 1.0])["width"] == 1.0
    assert "resolution" not in res_net_choices(keras_tuner.HyperParameters())
    assert res_net_choices(keras_tuner.HyperParameters())["block"] == "basic"


WRONG = [
    (lambda: mobile_net((32, 32), 3), "input_shape to be .height, width, channels."),
    (lambda: res_net((None, None, 3), 3), "input_shape to be .height, width, channels."),
    (lambda: mobile_net((32, 32, 3), 0), "num_classes to be a whole number >= 1"),
    (lambda: mobile_net((32, 32, 3), 3, width=0), "width to be"),
    (lambda: mobile_net((32, 32, 3), 3, depth=-1), "depth to be"),
    (lambda: mobile_net((32, 32, 3), 3, block="basic"), "'inverted', 'fused', 'separable'"),
    (lambda: mobile_net((32, 32, 3), 3, kernel_size=4), "kernel_size to be one of"),
    (lambda: res_net((32, 32, 3), 3, width=0.5), "width to be a whole number"),
    (lambda: res_net((32, 32, 3), 3, block="inverted"), "'basic', 'bottleneck', 'separable'"),
    (lambda: res_net((32, 32, 3), 3, resolution=2), "resolution to be a whole number >= 4"),
    (lambda: res_net((32, 32, 3), 3, dropout=1), "dropout to be"),
    (lambda: res_net_choices(None), "HyperParameters that build.hp. gets, got None"),
    (lambda: res_net_choices(keras_tuner.HyperParameters(), depth=3), r"such as \[3\], got 3"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_what_is_out_of_range_is_one_sentence(wrong, message):
    with pytest.raises(InvalidArgumentError, match=message):
        wrong()
