"""Equal scales and zero points stand once in a file, and nothing else changes."""

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils

from tfopt.export import TFLiteModel
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.write import serialize


def _written_plainly(content):
    """Return the file as LiteRT's own tool writes it."""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parse(content)))


def test_the_file_is_smaller_and_computes_the_same(files, digits):
    ours, plain = bytes(files["int8"]), _written_plainly(bytes(files["int8"]))
    zeros_of_a_channel = 8
    channels = [
        len(tensor.quantization.zeroPoint)
        for tensor in parse(plain).subgraphs[0].tensors
        if tensor.quantization is not None and tensor.quantization.zeroPoint is not None
    ]
    assert len(plain) - len(ours) > 0.7 * zeros_of_a_channel * (sum(channels) - max(channels) * 2)
    x = digits.x_test[:32]
    np.testing.assert_array_equal(files["int8"].predict(x), TFLiteModel(plain).predict(x))


def test_what_is_read_back_is_what_was_written(files):
    content = bytes(files["int8"])
    again = serialize(parse(content))
    assert len(again) == len(content)
    before, after = (parse(each).subgraphs[0].tensors for each in (content, again))
    for one, other in zip(before, after, strict=True):
        for name in ("scale", "zeroPoint", "min", "max", "quantizedDimension"):
            left, right = (getattr(tensor.quantization, name, None) for tensor in (one, other))
            np.testing.assert_array_equal(left, right)
