"""The arguments of `to_tflite` decide who writes a file, before anything is converted."""

import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.export.options import Options, WeightOptions
from tfopt.export.schemes import FILE_SCHEMES, input_output_type


@pytest.mark.parametrize(
    ("arguments", "writer"),
    [
        ({"scheme": "int8"}, "keras"),
        ({"scheme": "int8", "rules": {"head": "dynamic"}}, "keras"),
        ({"scheme": "int8", "rules": {"head": "int4_weights"}}, "keras"),
        ({"scheme": "int8", "rules": {"head": "float16"}}, "litert-quantizer"),
        ({"scheme": "int8", "weights": WeightOptions(algorithm="octav")}, "litert-quantizer"),
        ({"scheme": "int8", "engine": "converter"}, "converter"),
        ({"scheme": "float32"}, "converter"),
        ({"scheme": "float16"}, "converter"),
        ({"scheme": "dynamic"}, "converter"),
        ({"scheme": "dynamic", "rules": {"head": None}}, "litert-quantizer"),
        ({"scheme": "dynamic", "weights": WeightOptions(per_channel=False)}, "litert-quantizer"),
        ({"scheme": "int16x8"}, "converter"),
        ({"scheme": "int16x8", "engine": "keras"}, "keras"),
        ({"scheme": "int8_weights"}, "litert-quantizer"),
        ({"scheme": "int4"}, "litert-quantizer"),
    ],
)
def test_who_writes_the_file(arguments, writer):
    assert Options(**arguments).writer == writer


@pytest.mark.parametrize(
    ("arguments", "integer", "needs_data"),
    [
        ({"scheme": "float32"}, False, False),
        ({"scheme": "float32", "rules": {"head": "int8"}}, True, False),
        ({"scheme": "int4"}, True, False),
        ({"scheme": "int8_weights", "corrections": ["adaround"]}, False, True),
        ({"scheme": "int8_weights", "weights": WeightOptions(algorithm="gptq")}, False, True),
        ({"scheme": "int8_weights", "corrections": ["cross_layer_equalization"]}, False, False),
    ],
)
def test_who_must_see_data(arguments, integer, needs_data):
    options = Options(**arguments)
    assert (options.integer, options.needs_data) == (integer, needs_data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheme": "int5"}, "scheme must be one of float32"),
        ({"scheme": "int8", "rules": {"head": "int5"}}, "scheme must be one of float32"),
        ({"scheme": "int8", "corrections": "adaround"}, r"write \['adaround'\]"),
        ({"scheme": "int4", "engine": "converter"}, "TensorFlow's converter cannot do scheme='int4'"),
        ({"scheme": "float16", "engine": "keras"}, "engine='keras' cannot do the scheme 'float16'"),
        (
            {"scheme": "int8", "corrections": ["adaround"], "weights": WeightOptions(algorithm="mse")},
            "adaround work for weights that are rounded to a grid",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Options(**arguments)


@pytest.mark.parametrize("scheme", FILE_SCHEMES)
def test_the_default_dtype_of_inputs_and_outputs_is_the_first(scheme):
    allowed = FILE_SCHEMES[scheme].input_output_types
    assert input_output_type("input_type", None, scheme) == allowed[0]
    assert [input_output_type("input_type", each, scheme) for each in allowed] == [*allowed]
    with pytest.raises(InvalidArgumentError, match=f"output_type must be .*{scheme!r}, got 'int32'"):
        input_output_type("output_type", "int32", scheme)
