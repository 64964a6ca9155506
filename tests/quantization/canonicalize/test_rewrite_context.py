"""The context of a rewrite: names, paths, and layers that calls share."""

import keras

from tfopt.quantization.canonicalize.rewrite_context import RewriteContext


def _context(**others):
    x = keras.Input((4,))
    near = keras.layers.Dense(3)(x)
    return x, RewriteContext("block.conv", "block/conv", {}, {"other": "block/other"}, near, **others)


def test_a_part_is_named_after_the_whole():
    _, context = _context()
    part = context.part("relu")
    assert (part.name, part.path) == ("block.conv.relu", "block/conv/relu")
    assert context.sibling("other", "matrix").path == "block/other/matrix"


def test_the_second_call_gets_the_layer_of_the_first():
    _, context = _context()
    first = context.layer(keras.layers.Dense, 3, weights=["kernel"])
    assert context.layer(keras.layers.Dense, 5) is first
    assert context.created == {"block.conv": (first, ["kernel"])}
    assert context.paths["block.conv"] == "block/conv"


def test_the_reference_is_an_input():
    x, context = _context(int16=True)
    assert context.reference is x
    assert context.part("relu").int16
