"""Python code in files is found before anything is read."""

import pytest

from tfopt.errors import UnsupportedModel
from tfopt.legacy.from_keras2.safety import refuse_code

SAFE = {
    "a layer": {"class_name": "Dense", "module": "keras.layers", "config": {"units": 3}},
    "a function of TensorFlow": {"class_name": "TFOpLambda", "config": {"name": "f", "function": "math.add"}},
    "a class of tfopt": {"class_name": "LocallyConnected1D", "module": "tfopt.legacy"},
}
UNSAFE = {
    "a lambda": ({"class_name": "__lambda__", "config": {"value": "4wEA"}}, "a lambda as Python bytecode"),
    "a Lambda layer": (
        {"class_name": "Lambda", "config": {"name": "mine", "function": ["4wEA", None, None]}},
        "the Lambda layer 'mine'",
    ),
    "its output shape": (
        {"class_name": "Lambda", "config": {"name": "mine", "output_shape_type": "lambda"}},
        "the Lambda layer 'mine'",
    ),
    "a file": (
        {"class_name": "TFOpLambda", "config": {"name": "reads", "function": "io.read_file"}},
        "the layer 'reads', which calls tf.io.read_file",
    ),
    "a module": (
        {"class_name": "system", "module": "os", "config": {}},
        "names 'system' of the Python module 'os'",
    ),
}


@pytest.mark.parametrize("config", SAFE.values(), ids=SAFE)
def test_descriptions_without_code_pass(config):
    refuse_code("model.h5", [{"layers": [config]}], {})


@pytest.mark.parametrize(("config", "message"), UNSAFE.values(), ids=UNSAFE)
def test_code_is_found_at_any_depth(config, message):
    with pytest.raises(UnsupportedModel, match=message):
        refuse_code("model.h5", [{"layers": [{"inner": {"deep": config}}]}], {})


def test_what_the_caller_gives_in_its_place_is_no_danger():
    config, _ = UNSAFE["a Lambda layer"]
    refuse_code("model.h5", [config], {"mine": abs})
    config, _ = UNSAFE["a module"]
    refuse_code("model.h5", [config], {"system": abs})
