"""Which functions of TensorFlow a model may call."""

import pytest

from tfopt.legacy.allowed import is_allowed

INSIDE = [
    *("math.add", "nn.relu", "compat.v1.math.add", "reshape", "linalg.matmul", "random.normal"),
    *("keras.backend.mean", "raw_ops.MatMul", "__operators__.add", "compat.v1.transpose"),
]
OUTSIDE = [
    *("io.read_file", "py_function", "numpy_function", "raw_ops.ReadFile", "raw_ops.EagerPyFunc"),
    *(
        "raw_ops.SaveV2",
        "raw_ops.PrintV2",
        "io.gfile.remove",
        "keras.backend.get_session",
        "print",
        "load_library",
    ),
    *("random.set_seed", "", "raw_ops.WriteSummary", "saved_model.load"),
]


@pytest.mark.parametrize("symbol", INSIDE)
def test_functions_of_tensors_are_allowed(symbol):
    assert is_allowed(symbol)


@pytest.mark.parametrize("symbol", OUTSIDE)
def test_what_reaches_out_of_a_model_is_not(symbol):
    assert not is_allowed(symbol)
