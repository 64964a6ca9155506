"""Passes run in the order of the plan, and the log says which of them changed the file, and how."""

import logging

import pytest

from tests.export.handmade import Handmade, calls_of
from tfopt.export.flatbuffer.fields import text
from tfopt.export.passes.run import Pass, run_passes


@pytest.fixture
def file():
    made = Handmade()
    x, y, z = (made.tensor(name, scale=0.1) for name in "xyz")
    made.call("RELU", [x], [y])
    made.call("TANH", [y], [z])
    return made.parsed([x], [z])


def remove_last(file):
    graph = file.graphs[0]
    graph.outputs = graph.operators[-1].inputs
    graph.operators = graph.operators[:-1]
    return True


def rename(file, name):
    file.graphs[0].tensors[0].name = name
    return True


def look(_file, *, seen):
    seen.append("looked")
    return False


def test_a_file_that_no_pass_changes_keeps_its_bytes(file):
    content, seen = file.serialize(), []
    run_passes(file, [Pass.of(look, seen=seen)])
    assert seen == ["looked"]
    assert file.serialize() is content


def test_a_changed_file_is_what_the_passes_made_of_it_in_order(file):
    run_passes(file, [Pass.of(rename, "first"), Pass.of(remove_last), Pass.of(rename, "second")])
    assert [name for name, *_ in calls_of(file)] == ["RELU"]
    again = type(file)(file.serialize())
    assert [text(each.name) for each in again.graphs[0].tensors] == ["second", "y", "z"]
    assert [name for name, *_ in calls_of(again)] == ["RELU"]


def test_the_log_says_what_changed(file, caplog):
    caplog.set_level(logging.DEBUG, logger="tfopt")
    run_passes(file, [Pass.of(look, seen=[]), Pass.of(rename, "new"), Pass.of(remove_last)])
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("DEBUG", "look left the file as it was"),
        ("INFO", "rename changed the file: names, values or scales alone"),
        ("INFO", "remove_last changed the file: -1 TANH operators"),
    ]


def test_a_pass_is_called_after_its_function():
    assert repr(Pass.of(rename, "new")) == "Pass(name='rename')"


def empty_last_buffer(file):
    file.model.buffers[-1].data = None
    return True


def test_buffers_that_a_pass_emptied_are_removed_after_the_next_one():
    made = Handmade()
    x, y = made.tensor("x", scale=0.1), made.tensor("y", scale=0.1)
    added = [made.tensor(name, scale=0.1, values=[1]) for name in ("one", "other")]
    made.call("ADD", [x, added[0]], [y])
    file = made.parsed([x], [y])
    sizes = []
    for passes in ([Pass.of(empty_last_buffer)], [Pass.of(look, seen=[])], [Pass.of(rename, "new")]):
        run_passes(file, passes)
        sizes.append(len(file.model.buffers))
    assert sizes == [3, 3, 2]
    assert [tensor.buffer for tensor in file.graphs[0].tensors] == [0, 0, 1, 0]
