"""A parsed file is serialized only where something has changed it."""

import pytest

from tests.export.handmade import Handmade
from tfopt.errors import InvalidArgumentError
from tfopt.export.flatbuffer.file import ParsedFile


@pytest.fixture
def file():
    made = Handmade()
    tensors = [made.tensor(name, scale=0.1) for name in ("x", "conv:Relu;norm:add", "head:Tanh")]
    made.call("RELU", tensors[:1], tensors[1:2])
    made.call("TANH", tensors[1:2], tensors[2:])
    return made.parsed(tensors[:1], tensors[2:])


def test_unchanged_it_is_the_very_bytes_that_were_parsed(file):
    content = file.serialize() + b"behind the flatbuffer"
    assert ParsedFile(content).serialize() is content


def test_changed_it_is_what_the_model_holds_whenever_it_is_serialized(file):
    for name in (b"first", b"second"):
        file.model.description = name
        file.mark_changed()
        assert ParsedFile(file.serialize()).model.description == name


def test_calls_know_their_names_and_layers(file):
    assert [(call.name, call.layers) for call in file.calls()] == [
        ("RELU", ["conv", "norm"]),
        ("TANH", ["head"]),
    ]


def test_calls_that_are_added_meanwhile_are_not_visited(file):
    seen = []
    for call in file.calls():
        seen.append(call.name)
        call.graph.operators.insert(0, call.operator)
    assert seen == ["RELU", "TANH"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "It is empty: expected a TFLite file"),
        (b"0123ABCD" + bytes(20), "It is not a TFLite file: bytes 4 to 8 must be b'TFL3', got b'ABCD'"),
        (b"\xff\xff\x00\x00TFL3" + bytes(20), "It is a damaged TFLite file"),
    ],
)
def test_what_is_no_file_is_refused(content, message):
    with pytest.raises(InvalidArgumentError, match=message):
        ParsedFile(content, "It")
