import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.export import TFLiteModel, compare_files
from tfopt.export.flatbuffer.check_scales import are_unusual
from tfopt.export.flatbuffer.fields import operator_name
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.write import serialize


def _with_scale(file, operator, scale):
    """Return the file with another scale of what an operator makes."""
    model = parse(bytes(file))
    graph = model.subgraphs[0]
    found = next(op for op in graph.operators if operator_name(model, op) == operator)
    graph.tensors[found.outputs[0]].quantization.scale = np.array([scale], np.float32)
    return serialize(model)


@pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -0.1])
def test_a_scale_that_is_no_scale_is_named_when_the_file_is_read(files, scale):
    with pytest.raises(InvalidArgumentError, match=rf"layer '.*conv.*' the scale {scale:g}; a scale must be"):
        TFLiteModel(_with_scale(files["qat"], "CONV_2D", scale))


def test_usual_files_are_not_tried(files):
    assert not any(are_unusual(parse(bytes(file))) for file in files.values())


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_a_file_that_may_end_the_process_is_tried_in_another(files, digits, scale):
    file = TFLiteModel(_with_scale(files["qat"], "CONV_2D", scale))
    for use in (
        lambda: file.predict(digits.x_test[:1]),
        file.benchmark,
        lambda: compare_files(files["qat"], file, turns=1),
    ):
        with pytest.raises(InvalidArgumentError, match=r"LiteRT cannot run .*operator"):
            use()
