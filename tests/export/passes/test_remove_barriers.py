"""What was before a barrier and what was after it meet, and nothing else goes."""

import numpy as np

from tests.export.handmade import Handmade, calls_of
from tfopt.export.flatbuffer.fields import text
from tfopt.export.passes.remove_barriers import remove_barriers


def chain(*operators):
    """Return a file of operators of one input, one after another."""
    made = Handmade()
    tensors = [made.tensor("x", "float32")]
    for number, name in enumerate(operators):
        tensors.append(made.tensor(f"t{number}", "float32"))
        made.call(name, [tensors[-2]], [tensors[-1]])
    return made.parsed(tensors[:1], tensors[-1:])


def test_one_between_two_operators():
    file = chain("RELU", "CEIL", "TANH")
    assert remove_barriers(file, "CEIL")
    assert calls_of(file) == [("RELU", ["x"], ["t0"]), ("TANH", ["t0"], ["t2"])]
    assert [text(each.name) for each in file.graphs[0].tensors] == ["x", "t0", "t2"]


def test_several_in_a_row_and_the_last_makes_the_output():
    file = chain("CEIL", "RELU", "CEIL", "CEIL")
    assert remove_barriers(file, "CEIL")
    assert calls_of(file) == [("RELU", ["x"], ["t1"])]
    graph = file.graphs[0]
    assert [text(graph.tensors[index].name) for index in graph.outputs] == ["t1"]


def test_an_operator_without_one_of_its_inputs_keeps_the_gap():
    made = Handmade()
    x, between, y = (made.tensor(name, "float32") for name in ("x", "between", "y"))
    weights = made.tensor("weights", "float32", values=np.ones((4, 4)))
    made.call("CEIL", [x], [between])
    made.call("FULLY_CONNECTED", [between, weights, -1], [y])
    file = made.parsed([x], [y])
    assert remove_barriers(file, "CEIL")
    assert list(file.graphs[0].operators[0].inputs) == [0, 2, -1]


def test_another_kind_stays():
    file = chain("FLOOR", "RELU")
    assert not remove_barriers(file, "CEIL")
    assert [name for name, *_ in calls_of(file)] == ["FLOOR", "RELU"]
