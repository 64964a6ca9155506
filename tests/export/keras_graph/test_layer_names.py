"""The nodes of a graph are called after the layers of the Keras model, nested ones too."""

import keras
import tensorflow as tf
from keras import layers as L

import tfopt
from tfopt.export.flatbuffer.tensor_names import layer_of
from tfopt.export.keras_graph.layer_names import layer_paths, layers_by_operation, tensor_names


def nested():
    inputs = keras.Input((4,))
    inner = keras.Model(inputs, L.Dense(3, activation="relu", name="dense")(inputs), name="block")
    outputs = L.Dense(2, name="head")(inner(outer := keras.Input((4,))))
    return keras.Model(outer, outputs, name="net")


def graph_of(*nodes):
    graph_def = tf.compat.v1.GraphDef()
    for name, op, *inputs in nodes:
        graph_def.node.add(name=name, op=op, input=inputs)
    return graph_def


def test_paths_of_a_lowered_model_are_those_of_its_layers():
    model = nested()
    paths = layer_paths(model, tfopt.graph.lower(model, share_variables=True))
    assert {paths["block.dense"], paths["head"]} == {"block/dense", "head"}
    parts = {name: path for name, path in paths.items() if name.startswith("block.dense.")}
    assert all(path == "block/dense/" + name.removeprefix("block.dense.") for name, path in parts.items())


def test_nodes_tell_their_layer_through_what_only_passes_on():
    model = nested()
    lowered = tfopt.graph.lower(model, share_variables=True)
    graph_def = graph_of(
        (f"{lowered.name}_1/block.dense_1/MatMul", "MatMul"),
        ("Identity", "Identity", f"{lowered.name}_1/block.dense_1/MatMul:0"),
        (f"{lowered.name}_1/head_1/MatMul", "MatMul"),
    )
    names = tensor_names(model, lowered, graph_def)
    assert [layer_of(names.readable(node.name)) for node in graph_def.node] == [
        "block/dense",
        "block/dense",
        "head",
    ]
    assert layers_by_operation(graph_def, names) == {
        "MatMul": ("block/dense", "head"),
        "Identity": ("block/dense",),
    }
