import numpy as np

from tests.export.handmade import Handmade
from tfopt.export.flatbuffer.edit import add_buffer, drop_unused_buffers, operator_code
from tfopt.export.flatbuffer.fields import operator_name


def test_an_operator_has_one_code_with_the_highest_version_asked_for():
    model = Handmade().model
    first, other = operator_code(model, "MUL", 2), operator_code(model, "GELU")
    assert [operator_code(model, "MUL", version) for version in (4, 1)] == [first, first]
    assert [(code.version, code.builtinCode) for code in model.operatorCodes] == [(4, 18), (1, 150)]
    made = type("Operator", (), {"opcodeIndex": other})
    assert operator_name(model, made) == "GELU"


def test_codes_beyond_a_byte_have_the_placeholder_of_old_readers():
    model = Handmade().model
    operator_code(model, "GELU")
    assert model.operatorCodes[0].deprecatedBuiltinCode == 127


def test_buffers_that_nothing_refers_to_are_emptied_and_keep_their_numbers():
    made = Handmade()
    made.tensor("kept", values=[1, 2, 3])
    lost = add_buffer(made.model, np.arange(4, dtype=np.int8))
    drop_unused_buffers(made.model)
    assert [buffer.data is None for buffer in made.model.buffers] == [True, False, True]
    assert lost == 2
