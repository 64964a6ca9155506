"""TFLite files built tensor by tensor, to test one pass on what it is for."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.edit import add_buffer, operator_code
from tfopt.export.flatbuffer.fields import operator_name, text, type_name
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.flatbuffer.write import serialize


class Handmade:
    """A file with one graph. Tensors are known by their number, which `tensor` returns."""

    def __init__(self):
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model = schema.ModelT()
        self.model.version, self.model.operatorCodes = 3, []
        self.model.subgraphs, self.model.buffers = [self.graph], [schema.BufferT()]

    def tensor(self, name, dtype="int8", shape=(1, 4), scale=None, zero_point=0, values=None, axis=0):
        """Add a tensor: quantized where it has a scale or several, constant where it has values."""
        made = schema.TensorT()
        made.name, made.type, made.buffer = name, getattr(schema.TensorType, dtype.upper()), 0
        made.shape = np.asarray(shape if values is None else np.shape(values), np.int32)
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = scales
            made.quantization.zeroPoint = np.full(len(scales), zero_point, np.int64)
            made.quantization.quantizedDimension = axis
        if values is not None:
            made.buffer = add_buffer(self.model, np.asarray(values, dtype))
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def call(self, name, inputs, outputs, options=None, **fields):
        """Add an operator."""
        made = schema.OperatorT()
        made.opcodeIndex = operator_code(self.model, name)
        made.inputs, made.outputs = np.asarray(inputs, np.int32), np.asarray(outputs, np.int32)
        if options is not None:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            made.builtinOptions = getattr(schema, f"{options}T")()
            for field, value in fields.items():
                setattr(made.builtinOptions, field, value)
        self.graph.operators.append(made)

    def parsed(self, inputs, outputs):
        """Return the file as it is read."""
        self.graph.inputs = np.asarray(inputs, np.int32)
        self.graph.outputs = np.asarray(outputs, np.int32)
        return ParsedFile(serialize(self.model))


def calls_of(file):
    """Return each operator of the main graph as (name, names of inputs, names of outputs)."""
    graph = file.graphs[0]

    def names(indices):
        return [text(graph.tensors[int(index)].name) for index in indices if index >= 0]

    return [
        (operator_name(file.model, each), names(each.inputs), names(each.outputs)) for each in graph.operators
    ]


def tensor_of(file, name):
    """Return the tensor of a name."""
    (found,) = (each for each in file.graphs[0].tensors if text(each.name) == name)
    return found


def values_of(file, name):
    """Return the values of a constant, flat."""
    tensor = tensor_of(file, name)
    data = np.asarray(file.model.buffers[tensor.buffer].data, np.uint8).tobytes()
    return np.frombuffer(data, type_name(tensor))
