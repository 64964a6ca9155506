import numpy as np

from tests.export.handmade import Handmade
from tfopt.export.flatbuffer.edit import (
    add_buffer,
    drop_unused_buffers,
    empty_buffers,
    operator_code,
    remove_empty_buffers,
)
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


def test_empty_buffers_are_removed_and_the_others_renumbered():
    made = Handmade()
    first, last = made.tensor("first", values=[1, 2, 3]), made.tensor("last", values=[4, 5])
    computed = made.tensor("computed")
    made.graph.tensors[computed].buffer = add_buffer(made.model, np.zeros(4, np.int8))
    made.model.buffers[made.graph.tensors[computed].buffer].data = None
    made.model.buffers[made.graph.tensors[first].buffer].data = None
    assert empty_buffers(made.model) == {0, 1, 3}
    remove_empty_buffers(made.model, empty_buffers(made.model))
    assert [each.buffer for each in made.graph.tensors] == [0, 1, 0]
    assert [buffer.data is None for buffer in made.model.buffers] == [True, False]
    np.testing.assert_array_equal(made.model.buffers[made.graph.tensors[last].buffer].data, [4, 5])
